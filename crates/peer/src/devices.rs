//! `devices`: what there is to choose from.

use ahoy_media::device::{
    audio::{self, AudioDeviceInfo},
    camera::{CameraInfo, cameras},
};
use serde::Serialize;

use crate::options::Exit;

/// Prints all devices, as a table or as JSON.
pub fn list(json: bool) -> Exit {
    let (cameras, microphones, speakers) = (cameras(), audio::microphones(), audio::speakers());
    if json {
        #[derive(Serialize)]
        struct All {
            cameras: Vec<CameraInfo>,
            microphones: Vec<AudioDeviceInfo>,
            speakers: Vec<AudioDeviceInfo>,
        }
        match serde_json::to_string_pretty(&All { cameras, microphones, speakers }) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                eprintln!("The devices cannot be written as JSON: {error}");
                return Exit::Usage;
            }
        }
        return Exit::Normal;
    }
    println!("Cameras (--camera device:NAME_OR_INDEX)");
    for camera in &cameras {
        println!("  {:<40} {}", camera.name, list_of(&camera.formats));
    }
    for (title, devices) in
        [("Microphones (--mic device:NAME)", &microphones), ("Speakers (--speaker device:NAME)", &speakers)]
    {
        println!("{title}");
        for device in devices {
            let default = if device.default { "(default) " } else { "" };
            println!("  {:<40} {default}{}", device.name, list_of(&device.formats));
        }
        if devices.is_empty() {
            println!("  none: connect one, or start the sound server");
        }
    }
    Exit::Normal
}

fn list_of(formats: &[impl std::fmt::Display]) -> String {
    const SHOWN: usize = 4;
    let mut text = formats.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if formats.len() > SHOWN {
        text += &format!(", and {} more", formats.len() - SHOWN);
    }
    text
}
