"""What exiftool, ffprobe and ffmpeg see in signed files, and what this suite's verifier says once such tools changed them."""
import json
import os
import pathlib
import re
import shutil
import subprocess

work = pathlib.Path(os.environ["WORK"])
signed, plain = work / "signed", work / "plain"
passed = 0


def run(*command):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def verify(path):
    done = subprocess.run([os.environ["SIGN"], "verify", os.environ["AUTHORITY"], str(path)], capture_output=True, text=True)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def check(what, holds):
    global passed
    assert holds, what
    passed += 1
    print("ok  ", what)


def elements(text):
    value = json.loads(text)
    return list(value) == ["Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2"] and value["Label"] == "1"


def exif(path, *more):
    return json.loads(run("exiftool", "-j", "-G1", *more, path))[0]


def probe(path):
    return json.loads(run("ffprobe", "-v", "error", "-show_format", "-of", "json", path))["format"].get("tags", {})


files = [f for f in sorted(signed.iterdir()) if f.suffix != ".c2pa"]
for file in files:
    check(f"{file.name}: valid", verify(file)["verdict"] == "valid")

for name in ["a.png", "a.jpg", "a.webp", "drawn.png"]:
    tags = exif(signed / name)
    label = [v for k, v in tags.items() if k.lower() == "xmp-tc260:aigc"]
    check(f"{name}: exiftool shows the label in its XMP", len(label) == 1 and elements(label[0]))
    check(f"{name}: exiftool finds nothing wrong", "ExifTool:Warning" not in tags and "ExifTool:Error" not in tags)

for name in ["a.mp4", "front.mp4", "keys.mp4", "fragments.mp4", "drawn.mp4", "a.mp3", "bare.mp3", "a.wav", "heard.wav"]:
    check(f"{name}: ffprobe shows the label", elements(probe(signed / name)["AIGC"]))
for name in ["a.mp4", "keys.mp4", "fragments.mp4"]:
    check(f"{name}: exiftool shows the label", elements(exif(signed / name).get("Keys:AIGC", "{}")))
check("a.mp4: what was there is kept", probe(signed / "a.mp4")["title"] == "t")
check("keys.mp4: what was there is kept", probe(signed / "keys.mp4")["mine"] == "here")
check("a.mp3: what was there is kept", probe(signed / "a.mp3")["title"] == "t")

# The content decodes to the same samples, without a complaint.
for file in sorted(plain.iterdir()):
    if file.suffix in {".glb", ".gguf"}:
        continue
    def decoded(path):
        done = subprocess.run(["ffmpeg", "-nostdin", "-v", "warning", "-i", str(path), "-map", "0:v?", "-map", "0:a?", "-f", "md5", "-"], check=True, capture_output=True, text=True)
        # Decoders say which chunks they pass over; the credentials are one.
        return done.stdout, [re.sub(r" @ 0x[0-9a-f]+", "", line) for line in done.stderr.splitlines() if "unsupported chunk" not in line]
    check(f"{file.name}: decodes as before", decoded(signed / file.name) == decoded(file))

# Two seconds of the video carry the words, what follows does not.
frames = {}
for name, source in [("plain", plain / "a.mp4"), ("drawn", signed / "drawn.mp4")]:
    for at in ["0.5", "1.9", "3.0"]:
        raw = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-ss", at, "-i", str(source), "-frames:v", "1", "-vf", "crop=120:40:500:310", "-f", "rawvideo", "-pix_fmt", "gray", "-"], check=True, capture_output=True).stdout
        frames[name, at] = raw
def differs(at):
    return sum(abs(a - b) for a, b in zip(frames["plain", at], frames["drawn", at])) / len(frames["plain", at])
check("drawn.mp4: labelled in its first two seconds alone", differs("0.5") > 15 and differs("1.9") > 15 and differs("3.0") < 6)

# What others' tools change or strip is found.
for name in ["a.png", "a.jpg", "a.webp", "a.mp4"]:
    changed = work / f"changed-{name}"
    shutil.copy(signed / name, changed)
    run("exiftool", "-q", "-overwrite_original", "-XMP-dc:Title=other", changed)
    check(f"{name}: a title set by exiftool is found", verify(changed)["verdict"] == "changed")
whole = verify(signed / "a.png")
for name in ["a.png", "a.jpg"]:
    stripped = work / f"stripped-{name}"
    shutil.copy(signed / name, stripped)
    run("exiftool", "-q", "-overwrite_original", "-all=", "-CaBX:all=", "-JUMBF:all=", stripped)
    report = verify(stripped)
    check(f"{name}: its content is known again after everything was stripped", report["content_sha256"] == verify(signed / name)["content_sha256"])
    check(f"{name}: stripped, it is {report['verdict']}", report["verdict"] in {"not_signed", "changed"})
copied = work / "copied.mp4"
run("ffmpeg", "-nostdin", "-v", "error", "-i", signed / "a.mp4", "-c", "copy", "-movflags", "use_metadata_tags", copied)
check("a.mp4: copied by ffmpeg, it lost its credentials and kept its label", verify(copied)["verdict"] == "metadata_stripped")
print(f"{passed} passed, 0 failed")
