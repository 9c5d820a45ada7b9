//! What is said outside of the page: notifications and the tray. The page's own texts are in its message
//! files.

use crate::api::Language;

/// The texts of one language.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    pub calls_you: &'static str,
    pub calls_you_with_video: &'static str,
    pub answer: &'static str,
    pub decline: &'static str,
    pub missed: &'static str,
    pub show: &'static str,
    pub quit: &'static str,
}

const EN: Words = Words {
    calls_you: "Incoming call",
    calls_you_with_video: "Incoming video call",
    answer: "Answer",
    decline: "Decline",
    missed: "Missed call",
    show: "Show Ahoy",
    quit: "Quit",
};

const DE: Words = Words {
    calls_you: "Anruf",
    calls_you_with_video: "Videoanruf",
    answer: "Annehmen",
    decline: "Ablehnen",
    missed: "Verpasster Anruf",
    show: "Ahoy zeigen",
    quit: "Beenden",
};

const FR: Words = Words {
    calls_you: "Appel entrant",
    calls_you_with_video: "Appel vidéo entrant",
    answer: "Répondre",
    decline: "Refuser",
    missed: "Appel manqué",
    show: "Afficher Ahoy",
    quit: "Quitter",
};

/// The texts of the set language.
pub fn words(language: Language) -> &'static Words {
    match language {
        Language::En => &EN,
        Language::De => &DE,
        Language::Fr => &FR,
        Language::System => of_locale(&locale()),
    }
}

/// The desktop's language, by the variables in the order of POSIX (Base Definitions, section 8.2).
fn locale() -> String {
    let variables = ["LC_ALL", "LC_MESSAGES", "LANG"];
    variables.iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty()).unwrap_or_default()
}

fn of_locale(locale: &str) -> &'static Words {
    match locale.split(['_', '.', '-']).next() {
        Some("de") => &DE,
        Some("fr") => &FR,
        _ => &EN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_desktop_is_understood() {
        for (locale, expected) in [("de_AT.UTF-8", &DE), ("fr", &FR), ("en_GB.UTF-8", &EN), ("C", &EN), ("", &EN)] {
            assert_eq!(of_locale(locale), expected);
        }
    }
}
