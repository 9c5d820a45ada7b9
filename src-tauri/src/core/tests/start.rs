//! What an app finds when it starts: its profile, its files, the webview.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_has_the_echo_contact_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::start(folder.path()).await;
    let start = fixture.app.overview().await.unwrap();
    assert_eq!(start.contacts.iter().map(|contact| contact.echo).collect::<Vec<_>>(), [true]);
    assert!(start.requests.is_empty() && start.history.is_empty() && start.call.is_none() && start.notices.is_empty());
    assert!(!start.settings.first_run_done);
    assert_eq!(start.me.id.len(), 64);
    fixture.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_look_at_the_webview_decides_where_media_run() {
    for (has, mode) in [(false, CallMode::Native), (true, CallMode::Browser)] {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Fixture::start(folder.path()).await;
        let found = fixture.app.media_mode(has).await.unwrap();
        assert_eq!((found.mode, found.why, found.can_browser), (mode, MediaModeReason::Setting, has));
        drop(fixture);
        // Later looks change nothing.
        let fixture = Fixture::start(folder.path()).await;
        let found = fixture.app.media_mode(!has).await.unwrap();
        let why = if has { MediaModeReason::WebviewCannot } else { MediaModeReason::Setting };
        assert_eq!((found.mode, found.why), (mode, why));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_open_once() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Fixture::start(folder.path()).await;
    assert_eq!(refused(folder.path()).await.code, "database-in-use");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_told_and_never_fatal() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::within(folder.path());
    for path in [profile.database(), profile.settings()] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x".repeat(5000)).unwrap();
    }
    let fixture = Fixture::start(folder.path()).await;
    let start = fixture.app.overview().await.unwrap();
    let codes: Vec<_> = start.notices.iter().map(|notice| &*notice.code).collect();
    assert_eq!(codes, ["database-damaged", "settings-damaged"]);
    assert!(start.notices.iter().all(|notice| !notice.what.is_empty() && !notice.todo.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_key_is_told_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = Profile::within(folder.path()).key();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "no key").unwrap();
    assert_eq!(refused(folder.path()).await.code, "key-damaged");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "no key");
}
