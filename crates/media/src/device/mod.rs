//! Which devices there are, under ids that stay the same from one start to the next.

pub mod audio;
pub mod camera;
