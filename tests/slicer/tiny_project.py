"""A source tree laid out like this project's, so small that an environment of it is made in seconds.

It builds itself (no build tool, no network), and its `uniultra` answers `--version`, `doctor --json` and
`serve`. What it says and does in `serve` is told by files in the studies folder.
"""

from __future__ import annotations

from pathlib import Path

BACKEND = """
import os, zipfile
NAME = "uniultra-0.4.0-py3-none-any.whl"
def build_editable(folder, *_, **__):
    info = "uniultra-0.4.0.dist-info/"
    library = os.path.join(os.getcwd(), "lib")
    with zipfile.ZipFile(os.path.join(folder, NAME), "w") as wheel:
        wheel.writestr("uniultra.pth", library)
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: uniultra\\nVersion: 0.4.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return NAME
def build_wheel(*_, **__):
    raise SystemExit("only as editable")
"""

CLI = """
import argparse, json, os, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

def main(arguments=None):
    parser = argparse.ArgumentParser(prog="uniultra")
    parser.add_argument("--version", action="version", version="VERSION")
    parser.add_argument("command", choices=("doctor", "serve"))
    parser.add_argument("--json", action="store_true")
    for name in ("studies", "host", "port", "device", "model"):
        parser.add_argument("--" + name)
    options = parser.parse_args(arguments)
    if options.command == "doctor":
        print(json.dumps([{"subject": "torch", "state": "missing", "remedy": "install torch"},
                          {"subject": "python", "state": "3", "remedy": ""}]))
        return 1
    studies = Path(options.studies)
    for line in ("starting", "token: hidden-token-1234", "see http://me:secret-word@host/"):
        print(line)
    print(json.dumps({key: os.environ.get(key) for key in ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")}))
    if (studies / "fail").exists():
        print("uniultra serve: Expected weights; there are none. Fetch them.", file=sys.stderr)
        return 2
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (studies / "child").write_text(str(child.pid))
    (studies / "self").write_text(str(os.getpid()))
    if (studies / "silent").exists():
        time.sleep(600)
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            body = b\'{"models": {}}\'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_):
            pass
    server = HTTPServer((options.host, int(options.port)), Answer)
    print("listening")
    server.serve_forever()

if __name__ == "__main__":
    sys.exit(main())
"""


def make_tree(root: Path, version: str = "0.4.0") -> Path:
    """Write the tree; gives its folder, whose name has a space."""
    tree = root / "uniultra sources"
    for folder in ("lib/uniultra", "apps/uniultra", "build_tool"):
        (tree / folder).mkdir(parents=True)
    (tree / "setup.cfg").write_text("[metadata]\nname = uniultra\n")
    (tree / "constraints.txt").write_text("# nothing is pinned here\n")
    (tree / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["build_tool"]\n'
        f'[project]\nname = "uniultra"\nversion = "{version}"\n'
    )
    (tree / "build_tool" / "backend.py").write_text(BACKEND)
    (tree / "apps" / "uniultra" / "main.py").write_text("")
    (tree / "lib" / "uniultra" / "__init__.py").write_text("")
    (tree / "lib" / "uniultra" / "cli.py").write_text(CLI.replace("VERSION", version))
    return tree
