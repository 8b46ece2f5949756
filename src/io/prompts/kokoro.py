"""Speaks a sentence in pinyin with Kokoro-82M: kokoro.py FOLDER PINYIN WAV. It needs Python 3, numpy and onnxruntime.

FOLDER holds, both under the Apache License 2.0 (VOICE.md):
- kokoro-v1.0.int8.onnx, the int8 ONNX export of Kokoro-82M v1.0 (kokoro-onnx), with inputs tokens, style and speed;
- zf_xiaobei.bin, the voice: 510 style vectors of 256 32-bit floats, one for each number of tokens (kokoro-js 1.2.1).
"""

import hashlib
import re
import sys
import wave
from pathlib import Path

import numpy
import onnxruntime

MODEL = "kokoro-v1.0.int8.onnx", "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
VOICE = "zf_xiaobei.bin", "5dde6e1c9c4f12c8b327bc29c0cee361a23b52b952c04636858ba637ec66e640"
# About four syllables a second: slower than it speaks by itself.
SPEED = 0.9
RATE = 24000
TOKENS = {
    " ": 16, ",": 3, ".": 4, "ʦ": 20, "ʨ": 21, "ꭧ": 23, "a": 43, "e": 47, "f": 48, "i": 51, "j": 52, "k": 53,
    "l": 54, "m": 55, "n": 56, "o": 57, "p": 58, "s": 61, "t": 62, "u": 63, "w": 65, "x": 66, "y": 67, "ɕ": 77,
    "ə": 83, "ɚ": 85, "ɛ": 86, "ɥ": 99, "ɨ": 101, "ŋ": 112, "ɻ": 126, "ʂ": 130, "ʊ": 135, "ɤ": 140, "ʰ": 162,
    "↓": 169, "→": 171, "↗": 172, "↘": 173,
}
INITIALS = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ", "h": "x",
    "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s", "": "",
}
# The tone follows the vowel, where 0 stands.
FINALS = {
    "a": "a0", "ai": "ai0", "an": "a0n", "ang": "a0ŋ", "ao": "au0", "e": "ɤ0", "ei": "ei0", "en": "ə0n", "eng": "ə0ŋ",
    "er": "ɚ0", "i": "i0", "ia": "ja0", "ian": "jɛ0n", "iang": "ja0ŋ", "iao": "jau0", "ie": "je0", "in": "i0n",
    "ing": "i0ŋ", "iong": "jʊ0ŋ", "iu": "jou0", "o": "wo0", "ong": "ʊ0ŋ", "ou": "ou0", "u": "u0", "ua": "wa0",
    "uai": "wai0", "uan": "wa0n", "uang": "wa0ŋ", "ui": "wei0", "un": "wə0n", "uo": "wo0", "v": "y0", "van": "ɥɛ0n",
    "ve": "ɥe0", "vn": "y0n",
}
# As pinyin writes a syllable that begins with y or w.
BARE = {
    "ya": "ia", "yan": "ian", "yang": "iang", "yao": "iao", "ye": "ie", "yi": "i", "yin": "in", "ying": "ing",
    "yong": "iong", "you": "iu", "yu": "v", "yuan": "van", "yue": "ve", "yun": "vn", "wa": "ua", "wai": "uai",
    "wan": "uan", "wang": "uang", "wei": "ui", "wen": "un", "wo": "uo", "wu": "u",
}
TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}


def phonemes(syllable):
    spelled, tone = syllable[:-1], TONES[syllable[-1]]
    initial, final = re.fullmatch("(zh|ch|sh|[bpmfdtnlgkhjqxrzcs]?)(.+)", spelled).groups()
    if spelled in BARE:
        final = BARE[spelled]
    elif initial in ("j", "q", "x"):
        final = re.sub("^u", "v", final)
    sounds = "ɨ0" if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s") else FINALS[final]
    return INITIALS[initial] + sounds.replace("0", tone)


def checked(folder, name, digest):
    path = Path(folder) / name
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit(f"{path}: not the file that the prompts are made with")
    return data


def main(folder, pinyin, out):
    sounds = re.sub("[a-z]+[1-5]", lambda found: phonemes(found[0]), pinyin).replace("-", "")
    tokens = [TOKENS[sound] for sound in sounds]
    styles = numpy.frombuffer(checked(folder, *VOICE), "<f4").reshape(-1, 1, 256)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(checked(folder, *MODEL), options, providers=["CPUExecutionProvider"])
    inputs = {
        "tokens": numpy.array([[0, *tokens, 0]], numpy.int64),
        "style": styles[len(tokens) - 1],
        "speed": numpy.array([SPEED], numpy.float32),
    }
    sound = numpy.ravel(session.run(None, inputs)[0])
    samples = (sound / numpy.abs(sound).max() * 0.9 * 32767).astype("<i2")
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
