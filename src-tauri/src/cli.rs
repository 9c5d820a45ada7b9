//! The command line.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, ValueEnum, error::ErrorKind};

use crate::profile::Profile;

/// What Ahoy is started with.
#[derive(Debug, Parser)]
#[command(name = "ahoy", version, about = "Calls from one desktop to another, without a server in between")]
struct Arguments {
    /// Which profile; each has its own identity, contacts and settings, and runs once.
    #[arg(long, default_value = Profile::DEFAULT)]
    profile: String,
    /// Without showing the window.
    #[arg(long)]
    hidden: bool,
    /// Calls stay on this machine: for tests.
    #[arg(long, hide = true)]
    loopback_only: bool,
    /// Who paints the pictures of a call.
    #[arg(long, value_enum, default_value_t)]
    pictures: Pictures,
    /// Without a window, for a page in a browser: the folder of the page.
    #[cfg(feature = "test-bridge")]
    #[arg(long, hide = true)]
    bridge: Option<PathBuf>,
    /// An invite: ahoy:…
    link: Option<String>,
}

/// Who paints the pictures of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Pictures {
    /// The program where there is no graphics card, else the page.
    #[default]
    Auto,
    /// The program itself, on the CPU.
    Program,
    /// The page, with what its webview has.
    Page,
}

impl Pictures {
    /// Whether the program paints them, on a machine whose graphics are computed by the CPU or by a card.
    pub fn by_program(self, software: bool) -> bool {
        match self {
            Self::Auto => software,
            Self::Program => true,
            Self::Page => false,
        }
    }
}

/// What Ahoy is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its files are.
    pub profile: Profile,
    /// The window is not shown at first.
    pub hidden: bool,
    /// Calls stay on this machine.
    pub loopback_only: bool,
    /// Who paints the pictures of a call.
    pub pictures: Pictures,
    /// The folder of the page, for a browser.
    #[cfg_attr(not(feature = "test-bridge"), allow(dead_code))]
    pub bridge: Option<PathBuf>,
    /// An invite that was opened.
    pub link: Option<String>,
}

/// Reads the command line; ends the process where it cannot be read.
pub fn read() -> Options {
    let arguments = Arguments::parse();
    let (Some(data), Some(config)) = (dirs::data_dir(), dirs::config_dir()) else {
        Arguments::command().error(ErrorKind::Io, "this account has no home folder: set HOME").exit();
    };
    let profile = Profile::named(&arguments.profile, &data, &config)
        .unwrap_or_else(|error| Arguments::command().error(ErrorKind::ValueValidation, error).exit());
    Options {
        profile,
        hidden: arguments.hidden,
        loopback_only: arguments.loopback_only,
        pictures: arguments.pictures,
        #[cfg(feature = "test-bridge")]
        bridge: arguments.bridge,
        #[cfg(not(feature = "test-bridge"))]
        bridge: None,
        link: arguments.link,
    }
}

/// The invite among the arguments of a second start, which are only forwarded to the first.
pub fn link(arguments: &[String]) -> Option<String> {
    Arguments::try_parse_from(arguments).ok()?.link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_brings_its_invite() {
        let link_in = |arguments: &[&str]| link(&arguments.iter().map(|&a| a.to_owned()).collect::<Vec<_>>());
        assert_eq!(link_in(&["ahoy", "ahoy:abc"]).as_deref(), Some("ahoy:abc"));
        assert_eq!(link_in(&["ahoy", "--profile", "a", "ahoy:abc"]).as_deref(), Some("ahoy:abc"));
        assert_eq!(link_in(&["ahoy", "--hidden"]), None);
        assert_eq!(link_in(&["ahoy", "--nonsense", "ahoy:abc"]), None);
    }
}
