use std::{fs, path::Path};

use serde_json::json;

use super::*;
use crate::api::{Language, Theme};

fn open(path: &Path) -> (Keeper, Vec<Notice>) {
    Keeper::open(path.to_owned(), Arc::new(PlainFile))
}

fn values(value: Value) -> Values {
    value.as_object().unwrap().clone()
}

fn codes(notices: &[Notice]) -> Vec<&str> {
    notices.iter().map(|notice| &*notice.code).collect()
}

fn others(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "settings.json").collect()
}

#[test]
fn what_is_set_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/settings.json");
    let (mut keeper, notices) = open(&path);
    assert_eq!((notices, keeper.current().get()), (vec![], Settings::default()));
    let patch = json!({
        "name": " Ada\u{202e} ", "theme": "dark", "language": "de", "camera": "usb-1", "videoQuality": "high",
        "iceServers": [{"url": "turn:relay.example:3478", "user": "u", "credential": "c"}],
    });
    let set = keeper.patch(&values(patch)).unwrap();
    assert_eq!((&*set.name, set.theme, set.language), ("Ada", Theme::Dark, Language::De));
    let (keeper, notices) = open(&path);
    assert_eq!((notices, keeper.current().get()), (vec![], set));
}

#[test]
fn values_that_cannot_be_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut keeper, _) = open(&folder.path().join("settings.json"));
    let long = "x".repeat(2000);
    for patch in [
        json!({"theme": "pink"}),
        json!({"videoQuality": "ultra"}),
        json!({"name": 7}),
        json!({"camera": ""}),
        json!({"camera": "a\nb"}),
        json!({"camera": long}),
        json!({"relayUrl": "ftp://relay.example"}),
        json!({"iceServers": [{"url": "http://relay.example"}]}),
        json!({"iceServers": [{"url": "turn:"}]}),
        json!({"iceServers": vec![json!({"url": "stun:a"}); 9]}),
        json!({"iceServers": [{"url": "turn:a", "credential": long}]}),
        json!({"nonsense": true}),
        json!({"version": 9}),
        // One bad value among good ones.
        json!({"name": "Ada", "autostart": "yes"}),
    ] {
        let error = keeper.patch(&values(patch.clone())).expect_err(&patch.to_string());
        assert_eq!(error.code, "setting-refused");
        assert_eq!(keeper.current().get(), Settings::default(), "{patch}");
    }
    assert!(others(folder.path()).is_empty());
}

#[test]
fn a_damaged_file_is_kept_aside_and_named() {
    for damaged in ["", "{\"name\": \"Ada\"", "[]", "\0\0\0\0", "null"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        fs::write(&path, damaged).unwrap();
        let (mut keeper, notices) = open(&path);
        assert_eq!((codes(&notices), keeper.current().get()), (vec!["settings-damaged"], Settings::default()));
        let kept = others(folder.path());
        assert_eq!(fs::read_to_string(folder.path().join(&kept[0])).unwrap(), damaged);
        assert!(notices[0].what.contains(&kept[0]), "{}", notices[0].what);
        keeper.patch(&values(json!({"name": "Ada"}))).unwrap();
        assert_eq!(open(&path).0.current().get().name, "Ada");
    }
}

#[test]
fn bad_values_get_their_default_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    let text = json!({"version": 1, "name": "Ada", "theme": "pink", "autostart": 3, "ofTomorrow": [1]}).to_string();
    fs::write(&path, &text).unwrap();
    let (mut keeper, notices) = open(&path);
    assert_eq!(codes(&notices), ["settings-value"]);
    let set = keeper.current().get();
    assert_eq!((&*set.name, set.theme), ("Ada", Theme::System));
    let kept = others(folder.path());
    assert_eq!(fs::read_to_string(folder.path().join(&kept[0])).unwrap(), text);
    let (_, notices) = open(&path);
    assert_eq!((notices, others(folder.path())), (vec![], kept), "each start keeps another copy");
    keeper.patch(&values(json!({"autostart": true}))).unwrap();
    let written: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((&written["ofTomorrow"], &written["theme"]), (&json!([1]), &Value::Null));
}

#[test]
fn a_file_of_a_newer_version_is_used_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    let text = json!({"version": 2, "name": "Ada", "theme": {"hue": 7}}).to_string();
    fs::write(&path, &text).unwrap();
    let (mut keeper, notices) = open(&path);
    assert_eq!(codes(&notices), ["settings-newer"]);
    assert_eq!(keeper.current().get().name, "Ada");
    assert_eq!(keeper.patch(&values(json!({"name": "Bob"}))).unwrap().name, "Bob");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(others(folder.path()).is_empty());
}

#[test]
fn a_file_that_cannot_be_written_is_told_and_the_change_is_in_force() {
    struct Full;
    impl SettingsFile for Full {
        fn write(&self, _: &Path, _: &Values) -> Result<(), String> {
            Err("no space left".to_owned())
        }
    }
    let (mut keeper, _) = Keeper::open("/nowhere/settings.json".into(), Arc::new(Full));
    assert_eq!(keeper.patch(&values(json!({"name": "Ada"}))).unwrap_err().code, "settings-not-written");
    assert_eq!(keeper.current().get().name, "Ada");
}

#[test]
fn what_is_set_can_be_asked_while_the_disk_is_busy() {
    struct Slow(std::sync::mpsc::Sender<()>, Mutex<std::sync::mpsc::Receiver<()>>);
    impl SettingsFile for Slow {
        fn write(&self, _: &Path, _: &Values) -> Result<(), String> {
            self.0.send(()).unwrap();
            self.1.lock().unwrap().recv().map_err(|error| error.to_string())
        }
    }
    let (writing, begun) = std::sync::mpsc::channel();
    let (written, end) = std::sync::mpsc::channel();
    let file = Arc::new(Slow(writing, Mutex::new(end)));
    let (mut keeper, _) = Keeper::open("/nowhere/settings.json".into(), file);
    let current = keeper.current().clone();
    let patching = std::thread::spawn(move || keeper.patch(&values(json!({"name": "Ada"}))));
    begun.recv().unwrap();
    assert_eq!(current.get().name, "Ada");
    written.send(()).unwrap();
    patching.join().unwrap().unwrap();
}

#[test]
fn nobody_else_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    open(&path).0.patch(&values(json!({"name": "Ada"}))).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(others(folder.path()).is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    // What no account can read as a file, not even root's.
    fs::create_dir(&path).unwrap();
    let (mut keeper, notices) = open(&path);
    assert_eq!(codes(&notices), ["settings-unreadable"]);
    assert_eq!(keeper.patch(&values(json!({"name": "Ada"}))).unwrap().name, "Ada");
    assert!(path.is_dir() && others(folder.path()).is_empty());
}

#[test]
fn what_is_written_is_what_was_understood() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    let (mut keeper, _) = open(&path);
    keeper.patch(&values(json!({"name": "A".repeat(2 * MAX_FILE_BYTES as usize)}))).unwrap();
    assert!(fs::metadata(&path).unwrap().len() < 1000);
    let (keeper, notices) = open(&path);
    assert_eq!((notices, keeper.current().get().name.len()), (vec![], 100));
}

#[test]
fn a_file_that_is_linked_to_is_written_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kept) = (folder.path().join("settings.json"), folder.path().join("kept.json"));
    fs::write(&kept, "{}").unwrap();
    std::os::unix::fs::symlink(&kept, &path).unwrap();
    open(&path).0.patch(&values(json!({"name": "Ada"}))).unwrap();
    assert!(path.is_symlink() && fs::read_to_string(&kept).unwrap().contains("Ada"));
}
