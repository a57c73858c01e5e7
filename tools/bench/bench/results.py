"""Files of measurements."""
import json
import pathlib

from bench import machine


def store(file, records, key):
    """Writes records into a JSON file. Those that it has from the same machine stay, unless one is measured anew: `key` says
    which members tell records apart."""
    file = pathlib.Path(file)
    here = machine.facts()
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    kept = known["records"] if known.get("machine") == here else []
    merged = {tuple(record[member] for member in key): record for record in kept + records}
    document = {"machine": here, "records": [merged[name] for name in sorted(merged, key=str)]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return document
