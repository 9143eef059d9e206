//! What goes wrong on real machines, on real sockets.
