//! Both engines run the same scenarios and come to the same results.

mod load;
mod pair;
mod whole;
