"""Makes crates/rixin-provenance/fonts/label.otf: the few outlines that the label on pictures needs.

The source is Noto Sans CJK (SIL Open Font License 1.1), as Debian's package fonts-noto-cjk installs it; fontTools cuts it down.
Run: pip install fonttools==4.68.0 && apt-get install fonts-noto-cjk && python3 tests/reference/label_font.py
"""
import pathlib

from fontTools import subset
from fontTools.ttLib import TTCollection

SOURCE = "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc"
TEXT = "AI生成合人工智能内容由 -·abcdefghijklmnopqrstuvwxyz"

out = pathlib.Path(__file__).parents[2] / "crates/rixin-provenance/fonts/label.otf"
fonts = TTCollection(SOURCE).fonts
font = next(f for f in fonts if f["name"].getDebugName(4) == "Noto Sans CJK SC Bold")
options = subset.Options()
options.layout_features = []
options.name_IDs = [0, 1, 2, 4, 6, 13, 14]
options.name_languages = [0x409]
options.hinting = False
options.desubroutinize = True
options.drop_tables += ["vhea", "vmtx", "VORG", "BASE", "GDEF", "GPOS", "GSUB", "DSIG"]
cutter = subset.Subsetter(options)
cutter.populate(text=TEXT)
cutter.subset(font)
font["head"].modified = font["head"].created
font.recalcTimestamp = False
font.save(out)
print(out, out.stat().st_size, "bytes")
