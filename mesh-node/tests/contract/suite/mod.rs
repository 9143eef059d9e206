//! What mesh-node promises, as functions that run on any network.
//!
//! The tests of every network include this suite: `every_case!(run, net)` makes a `#[test]` of each
//! case, where `run` drives a future to its end and `net` is the network.

pub(crate) mod http;
pub(crate) mod service;

use std::time::Duration;

/// Makes one `#[test]` of each case.
macro_rules! every_case {
    ($run:path, $net:expr) => {
        $crate::suite::every_case! { @ $run, $net, http::client:
            many_calls_reuse_one_connection
            idle_connections_per_destination_are_capped
            idle_connections_in_all_are_capped
            idle_connections_close_in_time
            a_timeout_discards_the_connection
            a_timeout_discards_older_idle_connections
            a_request_over_a_connection_that_the_server_closed_is_repeated
            a_connection_that_the_server_ends_is_not_kept
            open_connections_per_destination_can_be_capped
            a_connect_that_hangs_was_never_sent
            nobody_there_was_never_sent
            a_connection_lost_after_sending_is_broken
            an_answer_that_is_not_http_is_told_apart
            a_large_answer_is_refused
            what_is_not_a_request_is_refused
            dropping_the_client_closes_its_connections
        }
        $crate::suite::every_case! { @ $run, $net, http::server:
            an_answer_is_the_same_bytes_every_time
            pipelined_requests_are_answered_in_order
            a_large_body_is_refused
            a_large_chunked_body_is_refused
            a_large_body_is_refused_before_it_is_sent
            a_refused_body_does_not_reset_its_sender
            large_headers_are_refused
            many_headers_are_refused
            slow_headers_are_cut_off
            a_slow_body_is_cut_off
            silence_is_cut_off_without_an_answer
            an_idle_connection_is_closed_without_an_answer
            a_slow_handler_is_not_cut_off
            connections_beyond_the_cap_are_told_so
            a_flood_beyond_the_cap_is_just_closed
            shutdown_finishes_what_is_in_flight
            shutdown_cuts_off_what_outlasts_the_drain
            a_client_that_leaves_cancels_its_handler
            a_client_that_closes_its_sending_half_is_answered
            requests_come_in_many_forms
            other_protocols_are_told_what_is_spoken
            a_request_that_is_dropped_cancels_its_handler
            a_panic_costs_one_connection
        }
        $crate::suite::every_case! { @ $run, $net, http::checks:
            a_refused_request_does_not_send_its_body
            a_refusal_without_a_body_keeps_the_connection
            a_table_decides_what_is_read_and_who_answers
        }
        $crate::suite::every_case! { @ $run, $net, http::stream:
            a_stream_comes_piece_by_piece
            a_stream_ends_when_its_client_leaves
            a_stream_that_goes_no_further_is_not_taken_for_complete
            a_client_refuses_a_stream_that_is_too_long
            the_head_of_a_stream_is_an_answer_to_head
        }
        $crate::suite::every_case! { @ $run, $net, service::registry:
            a_name_and_a_url_are_enough
            a_heartbeat_renews_its_lease
            an_unknown_lease_is_not_renewed
            a_stale_incarnation_is_refused
            a_late_heartbeat_revives_nothing
            a_lease_ends_after_its_ttl
            a_restarted_registry_holds_no_news_back
            two_processes_with_one_name_are_told_of_each_other
            a_lease_is_given_up
            what_is_no_registration_is_refused
            weights_and_sites_are_listed_if_agents_say_them
            a_load_out_of_range_is_refused
            only_what_is_served_is_answered
            the_epoch_and_the_index_are_told
            a_full_registry_says_so
            a_long_poll_is_answered_on_change
            a_long_poll_ends_with_its_wait_and_with_the_registry
            its_metrics_count_what_happened
        }
        $crate::suite::every_case! { @ $run, $net, service::agent:
            info_has_the_demos_fields
            work_has_the_demos_fields
            ids_come_back_as_they_came
            a_batch_answers_calls_and_not_notifications
            notifications_alone_are_answered_with_nothing
            a_notification_outlives_its_sender
            a_call_may_come_in_many_forms
            errors_are_told_apart
            bodies_beyond_the_limits_are_refused
            a_full_agent_is_busy
            a_client_that_leaves_frees_its_places
            a_job_is_killed_at_its_deadline
            a_job_that_fails_says_why
            a_job_that_panics_frees_its_place
            only_what_is_served_is_answered
            nobody_to_delegate_to_is_an_error_of_its_own
            a_strange_sample_is_brought_into_range
            foreign_methods_are_jobs_of_a_host_that_takes_them
            its_metrics_count_what_happened
            a_registry_after_the_demos_is_enough
        }
        $crate::suite::every_case! { @ $run, $net, service::answers:
            an_answer_says_whose_its_errors_are
            a_jobs_own_error_is_passed_on_and_nothing_is_done_twice
            an_error_is_the_meshs_if_its_agent_says_so_or_it_looks_like_it
            a_status_without_an_answer_says_what_has_become_of_the_job
            what_a_host_says_of_a_job_decides_where_it_is_done
        }
        $crate::suite::every_case! { @ $run, $net, service::idle:
            idle_is_answered_when_a_slot_is_free
            a_caller_that_leaves_waits_no_longer
            a_job_waits_for_a_peer_and_leaves_nothing_waiting
            a_peer_that_does_not_know_idle_is_served
        }
        $crate::suite::every_case! { @ $run, $net, service::mesh:
            a_delegation_ends_at_the_other_agent
            the_least_loaded_peer_is_chosen
            a_header_names_the_session_of_a_body
            an_agent_killed_at_work_leaves_the_outcome_unknown
            an_idempotent_job_of_a_killed_agent_is_done_elsewhere
            a_dead_peer_that_is_still_listed_is_passed_over
            a_cancelled_delegation_is_cancelled_at_the_peer
            a_registry_that_forgot_everything_is_told_again
            an_agent_comes_up_before_its_registry
            a_later_life_replaces_an_earlier_one
            shutdown_gives_up_the_lease_and_ends_what_is_under_way
            shutdown_cuts_off_what_outlasts_the_drain
            shutdown_does_not_wait_for_a_registry_that_is_gone
            all_notes_of_a_delegation_come_in_order
            a_days_work_is_all_noted
        }
    };
    (@ $run:path, $net:expr, $group:ident::$module:ident: $($case:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $case() {
                    $run($crate::suite::$group::$module::$case($net));
                }
            )*
        }
    };
}
pub(crate) use every_case;

/// Fails a case that takes too long, so that none can hang.
pub(crate) async fn deadline_for(case: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(30), case).await.expect("the case ends within 30 s");
}
