//! Half an hour of Mandarin, spoken by espeak-ng in many voices, is no key to whoever listens for keys in the voice.

use crate::{have, wave};
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::dtmf::Listener;
use dutyline::protocol::rtp::{Codec, g711};
use std::f64::consts::TAU;
use std::fs::File;
use std::path::Path;
use std::process::Command;

const HALF_AN_HOUR: usize = 30 * 60 * wave::RATE;
/// Voice, words a minute, pitch.
const VOICES: [(&str, &str, &str); 8] = [
    ("", "160", "50"),
    ("+m3", "140", "30"),
    ("+f2", "180", "70"),
    ("+f4", "130", "90"),
    ("+m7", "220", "40"),
    ("+croak", "150", "20"),
    ("+f1", "260", "99"),
    ("+whisper", "150", "50"),
];
/// How much longer than espeak-ng the built-in voice speaks the same words: it is quicker, and slower in short ones.
const PACE: std::ops::Range<f64> = 0.7..1.2;
const SYLLABLES: &str = "ba bao bei bian bo bu can chang cheng chu da dan dao de deng dian ding dong \
    du dui duo er fa fang fei feng fu gai gan gao ge gong gu guan guang guo hai han hao he hen hou hu hua huan hui huo ji \
    jia jian jiang jiao jie jin jing jiu ju jue kai kan ke kong kou kuai la lai lan lao li liang liao lin ling liu lu luo \
    ma man mei men mian min ming mo mu na nan ne neng ni nian niu nong nu nv ou pai pan pi pian ping po qi qian qiang qie \
    qin qing qiu qu quan que ran ren ri rong ru san se sha shan shang shao she shen sheng shi shou shu shui shuo si song su \
    suan sui suo ta tai tan te ti tian tiao tie ting tong tou tu tuan tui wai wan wang wei wen wo wu xi xia xian xiang xiao \
    xie xin xing xiong xiu xu xuan xue yan yang yao ye yi yin ying yong you yu yuan yue yun zai zao ze zen zhan zhang zhao \
    zhe zhen zheng zhi zhong zhou zhu zhuan zhun zi zong zou zu zui zuo";

fn text(syllables: usize, random: &mut Random) -> String {
    let known: Vec<&str> = SYLLABLES.split_whitespace().collect();
    let mut text = String::new();
    for _ in 0..syllables {
        let syllable = known[random.below(known.len() as u64) as usize];
        let stop = ["", "", "", "", "", "", "", ",", ",", "."][random.below(10) as usize];
        text += &format!("{syllable}{}{stop} ", 1 + random.below(4));
    }
    text
}

/// As a telephone says it: 8 kHz, nearly as loud as it can be, through A-law.
fn spoken((voice, speed, pitch): (&str, &str, &str), text: &str, folder: &Path) -> Vec<i16> {
    let (said, wave) = (folder.join("text"), folder.join("said.wav"));
    std::fs::write(&said, text).expect("written");
    let voice = format!("cmn-latn-pinyin{voice}");
    let espeak = Command::new("espeak-ng")
        .args(["-v", &voice, "-s", speed, "-p", pitch, "-w"])
        .arg(&wave)
        .stdin(File::open(&said).expect("the text"))
        .status();
    assert!(espeak.expect("espeak-ng runs").success());
    let to = ["-r", "8000", "-c", "1", "-b", "16", "-e", "signed-integer", "-t", "raw", "-"];
    let sox = Command::new("sox").arg(&wave).args(to).args(["gain", "-n", "-3"]).output();
    let sox = sox.expect("sox runs");
    assert!(sox.status.success());
    let law = |sample| g711::decode(Codec::Pcma, g711::encode(Codec::Pcma, sample));
    sox.stdout.chunks_exact(2).map(|two| law(i16::from_le_bytes([two[0], two[1]]))).collect()
}

fn keys(listener: &mut Listener, sound: &[i16]) -> String {
    sound.chunks(160).filter_map(|packet| listener.hear(packet)).collect()
}

/// 1, as long as a hand presses.
fn one() -> Vec<i16> {
    let sine = |n: usize, hertz: f64| (n as f64 / wave::RATE as f64 * hertz * TAU).sin() * 5000.0;
    (0..wave::RATE / 10).map(|n| (sine(n, 697.0) + sine(n, 1209.0)) as i16).collect()
}

#[test]
fn esc_13_half_an_hour_of_mandarin_is_no_key() {
    if !have(&["espeak-ng", "sox"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random::from_seed([13; 32]);
    let mut listener = Listener::default();
    let mut heard = 0;
    for turn in 0.. {
        let voice = VOICES[turn % VOICES.len()];
        let sound = spoken(voice, &text(600, &mut random), folder.path());
        assert!(sound.len() > 60 * wave::RATE, "it speaks");
        assert_eq!(keys(&mut listener, &sound), "", "{voice:?} after {heard} samples");
        heard += sound.len();
        let pressed = [one(), vec![8; wave::RATE / 10]].concat();
        assert_eq!(keys(&mut listener, &pressed), "1", "and it hears a key after all of it");
        if heard >= HALF_AN_HOUR && turn >= VOICES.len() {
            break;
        }
    }
    println!("{} minutes of speech, 0 keys", heard / wave::RATE / 60);
}

/// `make.sh` with espeak-ng, which speaks its pinyin as Mandarin (of characters, some builds of it spell letters), makes
/// every prompt that is built in, and of each the built-in voice says as much.
#[test]
fn the_prompts_are_mandarin_as_they_are_written() {
    if !have(&["espeak-ng", "sox"]) {
        return;
    }
    let prompts = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/io/prompts");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(prompts.join("make.sh"), folder.path().join("make.sh")).expect("copied");
    let make = folder.path().join("make.sh");
    let made = Command::new("sh").arg(make).env_remove("KOKORO").status();
    assert!(made.expect("make.sh runs").success(), "it refuses what is not Mandarin");
    let names = |folder: &Path| {
        let files = std::fs::read_dir(folder).expect("the prompts");
        let mut names: Vec<_> = files.map(|file| file.expect("a file").file_name()).collect();
        names.retain(|name| Path::new(name).extension().is_some_and(|kind| kind == "wav"));
        names.sort();
        names
    };
    let built_in = names(&prompts);
    assert_eq!(built_in, names(folder.path()));
    assert!(built_in.len() >= 33, "{}", built_in.len());
    for name in built_in {
        let built_in = std::fs::read(prompts.join(&name)).expect("a prompt");
        let written = std::fs::read(folder.path().join(&name)).expect("it is made");
        let pace = built_in.len() as f64 / written.len() as f64;
        assert!(PACE.contains(&pace), "{name:?} is not of these words: {pace:.2}");
        let ends = |sound: &[u8]| {
            sound
                .chunks_exact(2)
                .rev()
                .take(400)
                .all(|two| i16::from_le_bytes([two[0], two[1]]).unsigned_abs() < 400)
        };
        assert!(ends(&built_in), "{name:?} is cut off at its end");
    }
}
