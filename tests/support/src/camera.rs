//! An emulated camera: `tests/v4l2-emulator`, loaded into a process of its own for each test, whose
//! `/dev/videoN` is then a directory that the test lays out and changes.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::again::run_again;

/// Names the camera's directory to the emulator, and says to the process started by [`with_camera`] that it
/// is the one.
const ROOT: &str = "AHOY_V4L2_ROOT";
/// The emulator, compiled, beside the camera's directory.
const LIBRARY: &str = "v4l2-emulator.so";
/// The longest wait for a line in the camera's log.
const LIMIT: Duration = Duration::from_secs(20);

/// What the camera calls itself.
pub const NAME: &str = "Emulated camera";
/// Its lasting id.
pub const ID: &str = "usb-Ahoy_Emulated_camera-video-index0";

/// The directory that the emulator reads; what is in it is told at the top of the emulator's source.
pub struct EmulatedCamera {
    root: PathBuf,
    /// Goes with it, in the process that made it.
    _folder: Option<TempDir>,
}

/// Runs `body` in a process that has the emulated camera, not plugged in yet. `test` is the full name of the
/// calling test, which has nothing else in it.
pub fn with_camera(test: &str, body: impl FnOnce(&EmulatedCamera)) {
    if let Some(root) = env::var_os(ROOT) {
        return body(&EmulatedCamera { root: root.into(), _folder: None });
    }
    let camera = EmulatedCamera::new();
    run_again(test, camera.environment());
}

fn compile(library: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../v4l2-emulator/v4l2_emulator.c");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([library, &source])
        .args(["-ldl", "-lpthread"])
        .status()
        .expect("a C compiler, cc");
    assert!(status.success(), "the emulator does not compile");
}

impl EmulatedCamera {
    /// A camera for programs that are started with [`EmulatedCamera::environment`], not plugged in yet.
    ///
    /// # Panics
    /// There is no C compiler.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary directory");
        let root = folder.path().join("root");
        fs::create_dir(&root).expect("the camera's directory");
        compile(&folder.path().join(LIBRARY));
        Self { root, _folder: Some(folder) }
    }

    /// By what a program sees it.
    pub fn environment(&self) -> [(&'static str, OsString); 2] {
        let library = self.root.with_file_name(LIBRARY);
        [("LD_PRELOAD", library.into()), (ROOT, self.root.clone().into())]
    }

    /// Writes a file of the camera's directory.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        // Renamed into place: the camera must not see half a file.
        let unready = self.root.join("unready");
        fs::write(&unready, content).expect("a file");
        fs::rename(&unready, &path).expect("a file");
    }

    /// Removes a file of the camera's directory.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.root.join(path)).expect("a file to remove");
    }

    /// The camera becomes /dev/videoN.
    pub fn plug_in(&self, index: u32) {
        let links = self.root.join("dev/v4l/by-id");
        fs::create_dir_all(&links).expect("a directory");
        std::os::unix::fs::symlink(format!("../../video{index}"), links.join(ID)).expect("a link");
        self.write(&format!("sys/class/video4linux/video{index}/name"), format!("{NAME}\n"));
        self.write(&format!("dev/video{index}"), "");
    }

    /// The camera is /dev/videoN no more.
    pub fn unplug(&self, index: u32) {
        self.remove(&format!("dev/v4l/by-id/{ID}"));
        fs::remove_dir_all(self.root.join(format!("sys/class/video4linux/video{index}"))).expect("sysfs");
        self.remove(&format!("dev/video{index}"));
    }

    /// The formats it has, as lines `FOURCC WIDTH HEIGHT FPS`.
    pub fn offer(&self, formats: &str) {
        self.write("formats", formats);
    }

    /// The pictures it sends round and round in a format.
    pub fn send(&self, fourcc: &str, pictures: impl IntoIterator<Item = Vec<u8>>) {
        for (number, picture) in pictures.into_iter().enumerate() {
            self.write(&format!("frames/{fourcc}/{number}"), picture);
        }
    }

    /// What was done with the camera so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.root.join("log")).unwrap_or_default()
    }

    /// Waits until the log ends so.
    ///
    /// # Panics
    /// It does not within 20 s.
    pub fn wait_for_log(&self, end: &str) {
        let deadline = Instant::now() + LIMIT;
        while !self.log().ends_with(end) {
            assert!(Instant::now() < deadline, "no {end:?} in the camera's log: {:?}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }
}
