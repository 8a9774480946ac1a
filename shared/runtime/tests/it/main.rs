//! A real node on a free port, called over loopback.

mod auth;
mod calls;
mod client;
mod echo;
mod otlp;
mod sandbox;
mod stop;
mod streams;
mod tls;
