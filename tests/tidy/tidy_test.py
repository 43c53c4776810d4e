#!/usr/bin/env python3
"""tidy.py finds what it is there to find: a tree with one fault of each kind, and one without."""
import os
import subprocess
import sys
import tempfile
import unittest

TIDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tidy.py")
GOOD = {
    "include/sluice/relay/a.hpp": "// What it is for.\n#pragma once\n#include \"sluice/base/error.hpp\"\nstruct A {\n"
    + "".join(f"  int field_{i} = {i};\n" for i in range(20)) + "  void call(int a, int b);\n  using B = int;\n};\n",
    "src/relay/a.cpp": "#include \"sluice/http/head.hpp\"\nvoid f() {\n" + "  g(\"{\");\n" * 69 + "}\n",
    "src/state/lmdb.cpp": "#include <lmdb.h>\nconst char* raw = R\"(" + "x" * 200 + ")\";\n",
}
FAULTS = {
    "lines": {"src/a.cpp": "// " + "x" * 98 + "\n"},
    "lines ": {"src/a.cpp": "\tint a;\n"},
    "lines  ": {"src/a.cpp": "// TO" "DO: later\n"},
    "headers": {"src/relay/b.cpp": "#include <liburing.h>\n"},
    "includes": {"src/http/b.cpp": "#include \"sluice/relay/exchange.hpp\"\n"},
    "includes ": {"src/app/mock/b.cpp": "#include \"sluice/dialect/usage.hpp\"\n"},
    "relay": {"src/relay/b.hpp": "class B {\n public:\n" + "".join(f"  std::map<int, int> m{i}_;\n" for i in range(21)) + "};\n"},
    "relay ": {"src/relay/b.cpp": "Task<Result<int>> B::run(int a) {\n" + "  if (a) { g(); }\n" * 72 + "}\n"},
    "public": {"include/sluice/base/b.hpp": "#pragma once\n"},
    "hosts": {"package-lock.json": "https://registry." "npmjs.org/x\n"},
}


def problems(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        subprocess.run(["git", "init", "-q", root], check=True)
        done = subprocess.run([sys.executable, TIDY, root], capture_output=True, text=True)
        found = [line for line in done.stdout.splitlines() if line.startswith("tidy ")]
        assert (done.returncode == 0) == (not found), done.stdout + done.stderr
        return found


class Tidy(unittest.TestCase):
    def test_a_good_tree_passes(self):
        self.assertEqual(problems(GOOD), [])

    def test_each_fault_is_found_by_its_rule_alone(self):
        for rule, files in FAULTS.items():
            with self.subTest(rule=rule, files=list(files)):
                found = problems(GOOD | files)
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith(f"tidy {rule.strip()}: "), found)


if __name__ == "__main__":
    unittest.main()
