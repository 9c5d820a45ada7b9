//! Lists of the devices that a user can choose from.

pub mod audio;
