//! What was found in what was handed out, in words.

use super::Handed;
use crate::io::proof::verify::write_fault;

impl std::fmt::Display for Handed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, key, trusted, files, rows, destroyed, given_up, derived, head, .. } = self;
        let withheld = self.withheld.len();
        let (keys, faults) = (&self.keys, &self.faults);
        let what = what.replace(|c: char| c.is_control(), "\u{fffd}");
        writeln!(out, "{what}\n公钥 · key {key}")?;
        if !trusted {
            writeln!(
                out,
                "！公钥取自文件夹本身，请与值班单位另行给出的比对，或用 --key 给出 · the key is the folder's own: compare it with the one the duty room gives, or give that with --key"
            )?;
        }
        keys.write(out)?;
        writeln!(out, "文件 {files}，行 {rows}，签名 {head} · {files} files, {rows} rows")?;
        if *derived > 0 {
            writeln!(
                out,
                "脱敏件 {derived} 份（derived/），不是原件，各附原件 SHA-256 与理由 · {derived} files in derived/ are no originals: each names its original and the reason"
            )?;
        }
        if *destroyed > 0 {
            writeln!(
                out,
                "录音 {destroyed} 份已由两人按清单销毁，记录、哈希与凭据在内 · {destroyed} recordings were destroyed by two people: their rows and hashes are here"
            )?;
        }
        if *given_up > 0 {
            writeln!(
                out,
                "录音 {given_up} 份已由两人同意销毁，导出时未附 · {given_up} recordings had been given up by two people, and are not here"
            )?;
        }
        if withheld > 0 {
            writeln!(
                out,
                "只附脱敏件：原始录音 {withheld} 份未附 · {withheld} originals are withheld: redacted copies only"
            )?;
        }
        for (file, why) in &self.damaged {
            let tame = |text: &str| text.replace(|c: char| c.is_control(), "\u{fffd}");
            let (file, why) = (tame(file), tame(why));
            writeln!(
                out,
                "！未交出：导出时已缺失或损坏 · not handed out, it was gone or damaged: {file} ({why})"
            )?;
        }
        for fault in faults {
            write_fault(fault, out)?;
        }
        match faults.len() {
            0 if !self.damaged.is_empty() => writeln!(
                out,
                "✓ 交出的未发现改动，但缺 {0} 个录音文件（见上） · nothing of what was handed out was altered, but {0} files are not in it (see above)",
                self.damaged.len()
            ),
            0 => writeln!(out, "✓ 未发现改动 · nothing was altered"),
            count => writeln!(out, "✗ {count} 处不符 · {count} faults"),
        }
    }
}
