//! Which CPUs there are for us, and which shard gets which.
//!
//! Usable are the CPUs of the process' affinity mask, but no more than its cgroup's quota pays
//! for. Shards are pinned, one to a physical core first, when every one has a CPU of its own.
//! They are not pinned under a quota: every container of a machine sees the same CPUs, and all
//! would pile up on the first ones.

use crate::config::cpus;
use std::path::Path;

/// What there is to run on.
#[derive(Debug, Clone, PartialEq)]
pub struct Cpus {
    /// CPU numbers of the affinity mask, first threads of physical cores first.
    pub mask: Vec<usize>,
    /// CPUs' worth of time the cgroup may use, if it is limited.
    pub quota: Option<f64>,
}

/// Which shard runs where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The CPU of each shard; `None` where the scheduler decides.
    pub cpus: Vec<Option<usize>>,
    /// What the operator should know: sentences for the log.
    pub warnings: Vec<String>,
}

impl Cpus {
    /// Measures.
    pub fn detect() -> Self {
        let mut mask: Vec<usize> = core_affinity::get_core_ids()
            .unwrap_or_default()
            .into_iter()
            .map(|core| core.id)
            .collect();
        if mask.is_empty() {
            mask.push(0);
        }
        let own_cgroups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self {
            mask: cores_first(&mask, siblings),
            quota: quota(Path::new("/sys/fs/cgroup"), &own_cgroups),
        }
    }

    /// Those of `server_cpulist`, in its order; all if it is empty.
    ///
    /// # Errors
    /// It names a CPU that this process may not use.
    pub fn named_by(mut self, list: &str) -> Result<Self, String> {
        let Some(named) = cpus::parse(list) else { return Ok(self) };
        if let Some(cpu) = named.iter().find(|cpu| !self.mask.contains(cpu)) {
            let mut mask = self.mask.clone();
            mask.sort_unstable();
            return Err(format!(
                "server_cpulist names CPU {cpu}, but this process may use only {mask:?} (see \
                 taskset, cpuset)"
            ));
        }
        self.mask = named;
        Ok(self)
    }

    /// How many threads can run at a time: the number of shards unless configured. At least 1.
    pub fn usable(&self) -> usize {
        let paid = self.quota.map_or(usize::MAX, |quota| quota as usize);
        self.mask.len().min(paid).max(1)
    }

    /// Places `shards` shards.
    pub fn plan(&self, shards: usize) -> Plan {
        let mut warnings = Vec::new();
        if shards > self.usable() {
            warnings.push(format!(
                "{shards} shards share {} usable CPUs: they will wait for each other; set \
                 `shards` to at most {}",
                self.usable(),
                self.usable()
            ));
        }
        let is_limited = self.usable() < self.mask.len();
        let pin = shards <= self.mask.len() && !is_limited;
        let cpus = (0..shards).map(|shard| pin.then(|| self.mask[shard])).collect();
        Plan { cpus, warnings }
    }
}

/// Pins the calling thread. False if the system refused.
pub fn pin_current_thread(cpu: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
}

/// The hardware threads of a CPU's physical core, itself included.
fn siblings(cpu: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    std::fs::read_to_string(path).map(|list| cpu_list(&list)).unwrap_or_default()
}

/// `0-2,5` as numbers; parts that cannot be read are skipped.
fn cpu_list(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse::<usize>().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// The same CPUs, those first whose physical core has not been named before.
fn cores_first(mask: &[usize], siblings: impl Fn(usize) -> Vec<usize>) -> Vec<usize> {
    let mut seen: Vec<usize> = Vec::new();
    let (mut firsts, mut others) = (Vec::new(), Vec::new());
    for &cpu in mask {
        if seen.contains(&cpu) {
            others.push(cpu);
        } else {
            firsts.push(cpu);
            seen.extend(siblings(cpu));
        }
    }
    firsts.append(&mut others);
    firsts
}

/// The smallest CPU quota of our cgroups and those above them. `root` is where cgroups are
/// mounted, `own` the text of /proc/self/cgroup.
fn quota(root: &Path, own: &str) -> Option<f64> {
    let mut quotas = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            quotas.extend(up_from(root, path).filter_map(|dir| quota_v2(&dir)));
        } else if controllers.split(',').any(|name| name == "cpu") {
            for mount in [root.join(controllers), root.join("cpu")] {
                quotas.extend(up_from(&mount, path).filter_map(|dir| quota_v1(&dir)));
            }
        }
    }
    quotas.into_iter().reduce(f64::min)
}

/// `root/a/b/c`, `root/a/b`, `root/a`, `root`. In a container the path may be the host's and
/// name nothing here; the root is then what limits us.
fn up_from(root: &Path, path: &str) -> impl Iterator<Item = std::path::PathBuf> {
    let full = root.join(path);
    let depth = Path::new(path).components().count();
    let all: Vec<_> = full.ancestors().take(depth + 1).map(Path::to_path_buf).collect();
    all.into_iter()
}

fn quota_v2(dir: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(dir.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota, period)
}

fn quota_v1(dir: &Path) -> Option<f64> {
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).ok();
    ratio(read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim())
}

/// CPUs' worth; nothing for `max` and -1, which mean no limit.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(mask: &[usize], quota: Option<f64>) -> Cpus {
        Cpus { mask: mask.to_vec(), quota }
    }

    #[test]
    fn shards_are_as_many_as_can_run() {
        assert_eq!(cpus(&[0, 1, 2, 3], None).usable(), 4);
        assert_eq!(cpus(&[0, 1, 2, 3], Some(2.5)).usable(), 2);
        assert_eq!(cpus(&[0, 1, 2, 3], Some(0.5)).usable(), 1);
        assert_eq!(cpus(&[0, 1], Some(8.0)).usable(), 2);
        assert!(Cpus::detect().usable() >= 1);
    }

    #[test]
    fn shards_with_a_cpu_each_are_pinned() {
        let plan = cpus(&[4, 6, 5, 7], None).plan(3);
        assert_eq!(plan, Plan { cpus: vec![Some(4), Some(6), Some(5)], warnings: vec![] });
    }

    #[test]
    fn too_many_shards_are_warned_about_and_not_pinned() {
        let plan = cpus(&[0, 1], None).plan(3);
        assert_eq!(plan.cpus, [None; 3]);
        assert!(plan.warnings[0].contains("at most 2"), "{:?}", plan.warnings);
    }

    #[test]
    fn nothing_is_pinned_under_a_quota() {
        let plan = cpus(&[0, 1, 2, 3], Some(2.0)).plan(2);
        assert_eq!(plan, Plan { cpus: vec![None, None], warnings: vec![] });
        // A quota of all CPUs limits nothing.
        assert_eq!(cpus(&[0, 1], Some(2.0)).plan(2).cpus, [Some(0), Some(1)]);
    }

    #[test]
    fn physical_cores_come_first() {
        let siblings = |cpu: usize| vec![cpu % 4, cpu % 4 + 4];
        assert_eq!(cores_first(&[0, 1, 4, 5, 2], siblings), [0, 1, 2, 4, 5]);
        assert_eq!(cores_first(&[3, 7], |_| Vec::new()), [3, 7]);
        assert_eq!(cpu_list("0-2,5\n"), [0, 1, 2, 5]);
    }

    #[test]
    fn quotas_of_all_cgroups_above_count() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(quota(dir.path(), "0::/a/b\n"), None);
        write("a/b/cpu.max", "max 100000\n");
        write("a/cpu.max", "150000 100000\n");
        write("cpu.max", "400000 100000\n");
        assert_eq!(quota(dir.path(), "0::/a/b\n"), Some(1.5));
        assert_eq!(quota(dir.path(), "0::/not/here\n"), Some(4.0));

        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join("cpu,cpuacct/pod").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("cpu.cfs_quota_us", "50000\n");
        write("cpu.cfs_period_us", "100000\n");
        let own = "5:memory:/pod\n4:cpu,cpuacct:/pod\n";
        assert_eq!(quota(dir.path(), own), Some(0.5));
        write("cpu.cfs_quota_us", "-1\n");
        assert_eq!(quota(dir.path(), own), None);
    }
}
