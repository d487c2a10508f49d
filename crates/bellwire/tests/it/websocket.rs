//! WebSocket as its users and its enemies see it.

mod deflate;
mod following;
mod frames;
mod rude;
mod silence;
mod talking;
mod walk;
