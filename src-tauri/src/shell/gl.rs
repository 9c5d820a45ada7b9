//! Whether graphics are computed by a graphics card or by the CPU.

use std::{fs, path::Path};

/// Drivers of screens without a card behind them: Mesa computes on the CPU there.
const WITHOUT_CARD: [&str; 10] =
    ["ast", "bochs-drm", "cirrus", "cirrus-qemu", "hyperv_drm", "mgag200", "qxl", "simple-framebuffer", "vgem", "vkms"];

/// Whether OpenGL runs on the CPU, as far as that can be told without opening a context.
pub fn is_software() -> bool {
    let forced = std::env::var("LIBGL_ALWAYS_SOFTWARE").is_ok_and(|value| value == "1" || value == "true");
    judge(forced, &render_drivers(Path::new("/dev/dri"), Path::new("/sys/class/drm")))
}

fn judge(forced: bool, drivers: &[String]) -> bool {
    forced || drivers.iter().all(|driver| WITHOUT_CARD.contains(&driver.as_str()))
}

/// The drivers behind the render nodes that this user may open; without one nothing is computed by a card.
fn render_drivers(nodes: &Path, classes: &Path) -> Vec<String> {
    let names =
        fs::read_dir(nodes).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter(|name| name.starts_with("renderD"))
        .filter(|name| fs::File::options().read(true).write(true).open(nodes.join(name)).is_ok())
        .map(|name| {
            let driver = fs::read_link(classes.join(&name).join("device/driver")).ok();
            driver.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())).unwrap_or_default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_told_from_plain_screens() {
        for (forced, drivers, software) in [
            (false, &[][..], true),
            (false, &["i915"], false),
            (false, &["virtio_gpu"], false),
            (false, &["vkms"], true),
            (false, &["vkms", "amdgpu"], false),
            (false, &[""], false),
            (true, &["i915"], true),
        ] {
            let drivers: Vec<_> = drivers.iter().map(|&driver| driver.to_owned()).collect();
            assert_eq!(judge(forced, &drivers), software, "{drivers:?}");
        }
    }

    #[test]
    fn drivers_are_read_from_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let (nodes, classes) = (folder.path().join("dri"), folder.path().join("drm"));
        fs::create_dir_all(&nodes).unwrap();
        assert!(render_drivers(&nodes, &classes).is_empty());
        for node in ["card0", "renderD128"] {
            fs::write(nodes.join(node), "").unwrap();
            fs::create_dir_all(classes.join(node).join("device")).unwrap();
            std::os::unix::fs::symlink("/bus/drivers/i915", classes.join(node).join("device/driver")).unwrap();
        }
        assert_eq!(render_drivers(&nodes, &classes), ["i915"]);
    }
}
