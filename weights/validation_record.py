"""What the two bundled networks answer to the 10,000 validation photographs, as they are and changed: `weights/validation.npz`.

    python weights/validation_record.py DATA

DATA is the official folder `tiny-imagenet-200`. Lesson 20 reads the file, so that it needs no data. It has, as uint8 class
indices: `labels` (10000,); `standard: as it is`, `standard: grey`, ... and the same for `robust`, one for each of `viz.CHANGES`; and
`standard: without goldfish's ten`, the answers of the standard network without the ten channels of its last layer that speak most for
goldfish. Prints each accuracy.
"""

import argparse
from pathlib import Path

import numpy as np

from minicnn import viz
from minicnn.models import tinynet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder tiny-imagenet-200")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "validation.npz")
    args = parser.parse_args()

    place = {wnid: i for i, wnid in enumerate((args.data / "wnids.txt").read_text().split())}
    rows = (args.data / "val" / "val_annotations.txt").read_text().splitlines()
    names, wnids = zip(*(row.split("\t")[:2] for row in rows), strict=True)
    files, labels = [args.data / "val" / "images" / name for name in names], [place[wnid] for wnid in wnids]
    record = {"labels": np.array(labels)}
    for twin in ("standard", "robust"):
        found = viz.cues(tinynet(twin), files, labels=labels, batch=100, thumbnail=1)
        record |= {f"{twin}: {name}": variant.answered for name, variant in found.variants.items()}
        print(f"{twin}\n{found.table()}", flush=True)
    model = tinynet("standard")
    strongest = np.argsort(-model.classifier.weight.detach().numpy()[0])[:10]
    found = viz.ablation(model, [[f"features.11:{c}" for c in strongest]], files, labels=labels, batch=100)
    record["standard: without goldfish's ten"] = found.after[0].argmax(1)
    for name, answered in record.items():
        print(f"{name}: {(answered == record['labels']).mean():.4f}")
    np.savez_compressed(args.out, **{name: values.astype(np.uint8) for name, values in record.items()})
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
