//! Writers of results, one per format.
