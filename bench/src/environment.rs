//! What numbers belong to: machine, kernel, file system, load, and how we were called.

use std::path::Path;

use crate::json::Json;

/// Type and device of the file system that `dir` is on, by the longest matching mount point.
fn file_system(dir: &Path, mounts: &str) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let (device, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
            dir.starts_with(point).then(|| (point.len(), format!("{kind} on {device}")))
        })
        .max()
        .map_or_else(String::new, |(_, text)| text)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The machine and this program; `dir` is where servers of our own keep their files.
pub fn describe(dir: Option<&Path>) -> Json {
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let arguments = std::env::args().skip(1).map(Json::Text).collect();
    let file_system = dir.map(|dir| Json::Text(file_system(dir, &read("/proc/self/mounts"))));
    Json::object([
        ("bench_version", Json::text(env!("CARGO_PKG_VERSION"))),
        ("arguments", Json::List(arguments)),
        ("unix_time", Json::Count(since_1970.unwrap_or_default().as_secs())),
        ("kernel", Json::text(read("/proc/sys/kernel/osrelease").trim())),
        ("cpu", Json::text(model.trim_start_matches([' ', '\t', ':']))),
        ("cpus", Json::Count(cpus as u64)),
        ("file_system", file_system.unwrap_or(Json::Null)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n";
        assert_eq!(file_system(Path::new("/tmp"), mounts), "tmpfs on tmpfs");
        assert_eq!(file_system(Path::new("/"), mounts), "ext4 on /dev/a");
    }
}
