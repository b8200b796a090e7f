"""Signed files under c2pa-python: valid by the library, trusted by the instance's root, changed when a byte is."""
import io
import json
import os
import pathlib

import c2pa

work = pathlib.Path(os.environ["WORK"])
roots = (work / "roots.pem").read_text()
settings = {
    "trust": {"user_anchors": roots},
    "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
context = c2pa.Context.from_dict(settings)
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".mp4": "video/mp4", ".wav": "audio/wav", ".mp3": "audio/mpeg", ".glb": "model/gltf-binary", ".gguf": "application/gguf"}
passed = 0


def read(kind, data, sidecar=None):
    arguments = [kind, io.BytesIO(data)] + ([sidecar] if sidecar else [])
    return json.loads(c2pa.Reader(*arguments, context=context).json())


for file in sorted((work / "signed").iterdir()):
    if file.suffix == ".c2pa":
        continue
    beside = file.with_name(file.name + ".c2pa")
    sidecar = beside.read_bytes() if beside.exists() else None
    data = file.read_bytes()
    report = read(KINDS[file.suffix], data, sidecar)
    assert report["validation_state"] == "Trusted", (file.name, json.dumps(report.get("validation_results"), indent=1))
    manifest = report["manifests"][report["active_manifest"]]
    labels = [a["label"] for a in manifest["assertions"]]
    assert "ai.rixin.lineage" in labels and "cawg.training-mining" in labels, labels
    actions = next(a for a in manifest["assertions"] if a["label"].startswith("c2pa.actions"))["data"]["actions"]
    assert actions[0]["action"] == "c2pa.created" and actions[0]["digitalSourceType"].endswith("trainedAlgorithmicMedia"), actions
    broken = bytearray(data)
    # C2PA leaves the index of fragments (`mfra`) out of its hash; this suite's seal does not.
    broken[data.index(b"mdat") + 100 if file.suffix == ".mp4" else -1] ^= 1
    try:
        state = read(KINDS[file.suffix], bytes(broken), sidecar)["validation_state"]
    except Exception:
        state = "unreadable"
    assert state in {"Invalid", "unreadable"}, (file.name, state)
    print("ok  ", file.name, "trusted; a changed byte is found")
    passed += 1
print(f"{passed} passed, 0 failed")
