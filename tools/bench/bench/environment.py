"""Where the benchmarks find what they need, and how the reference toolkit gets there. Nothing is done twice."""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
BENCH = ROOT / "tools/bench"
DEPS = pathlib.Path(os.environ.get("WHENCE_DEPS_DIR", ROOT / ".deps"))
REFERENCE = pathlib.Path(os.environ.get("WHENCE_BENCH_DEPS", DEPS / "bench")).absolute()
MODEL = DEPS / "models/SmolLM2-135M-Instruct.Q4_1.gguf"
PYTHON = REFERENCE / "venv/bin/python"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def die(place, what, mend):
    sys.exit(f"bench: {place}: {what}; {mend}")


def checksum(*files):
    digest = hashlib.sha256()
    for file in files:
        digest.update(pathlib.Path(file).read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def made_once(folder, stamp):
    """Yields whether `folder` has still to be made; stamps it when the block ends well."""
    stamp_file = folder.with_name(folder.name + ".stamp")
    done = folder.is_dir() and stamp_file.is_file() and stamp_file.read_text() == stamp
    yield not done
    if not done:
        stamp_file.write_text(stamp)


def call(what, *words):
    """Runs a program that shows its own progress on standard error."""
    try:
        subprocess.run(words, check=True, stdout=sys.stderr, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    except (subprocess.CalledProcessError, OSError) as error:
        die(what, str(error), "mend what it says above, then run this again")


def set_up_reference(model):
    """Installs the reference toolkit and converts the checkpoint for it; returns the folder that it loads."""
    requirements, converter = BENCH / "requirements.txt", BENCH / "bench/convert_checkpoint.py"
    converted = REFERENCE / model.stem
    REFERENCE.mkdir(parents=True, exist_ok=True)
    with open(REFERENCE / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would do everything twice
        with made_once(REFERENCE / "venv", checksum(requirements)) as missing:
            if missing:
                say(f"installing the reference toolkit into {REFERENCE / 'venv'} (a download of 2.6 GB, 5 GB kept)")
                call("python3 -m venv", sys.executable, "-m", "venv", REFERENCE / "venv")
                call("pip", PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps",
                     "--only-binary=:all:", "-r", requirements)
        with made_once(converted, checksum(requirements, converter, model)) as missing:
            if missing:
                say(f"converting {model.name} to float32 for the reference toolkit, {converted}")
                shutil.rmtree(converted, ignore_errors=True)
                call("convert_checkpoint.py", PYTHON, converter, model, converted)
    return converted


def add_common_options(parser, model=True):
    if model:
        parser.add_argument("--model", type=pathlib.Path, default=MODEL, metavar="FILE", help="default: that of tools/setup")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", metavar="FOLDER", help="default: build/release")
    parser.add_argument("--output", type=pathlib.Path, metavar="FILE", help="JSON file that the numbers are put into; others "
                        "that it has from the same machine stay")


def program(name, build):
    """Path of a program that the build made."""
    program = pathlib.Path(build) / "bin" / name
    if not program.is_file():
        die(program, "there is no such program", "run tools/build, or give the folder of another build with --build")
    return program
