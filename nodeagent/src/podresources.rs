//! Which pod holds which device, as the kubelet knows it: asked over its socket, else read from its checkpoint.

mod checkpoint;
mod client;
mod follow;
mod holdings;

pub(crate) use client::{KubeletError, allocatable, connect, failed};
pub(crate) use follow::{Following, ask, follow};
pub(crate) use holdings::Holdings;
