#!/usr/bin/env python3
"""Checks of the source text that no compiler makes. Each rule is one test; what breaks it is printed.

  lines      at most 100 columns (raw string literals and tables in Markdown apart), no tabs, no TODO
  headers    a third-party header only in the module that owns it
  includes   a module includes only the modules that the design's table allows
  relay      no type with more than 20 fields, no function over 70 lines
  public     a public header starts with a comment that says what it is for
  hosts      no package registry host in any file
"""
import os
import re
import subprocess
import sys

ROOT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LINE_COLUMNS = 100
RELAY_FIELDS = 20
RELAY_FUNCTION_LINES = 70

# Design §6: what each module may include besides itself.
MAY_USE = {
    "base": set(), "http": {"base"}, "tls": {"base"}, "dialect": {"base"}, "price": {"base"}, "ring": {"base"},
    "state": {"base", "price"}, "ledger": {"base", "price"}, "net": {"base", "ring", "tls"},
    "policy": {"base", "dialect", "price", "state"},
    "relay": {"base", "http", "tls", "dialect", "price", "ring", "state", "net", "policy"},
    "control": {"base", "price", "ledger"},
    "edge": {"base", "http", "tls", "dialect", "price", "ring", "state", "net", "policy", "relay"},
    "reconcile": {"base", "price", "state", "ledger", "control"},
    "console": {"base", "control"},
    "mock": {"base", "ring", "tls", "net", "http"},
}
OWNERS = {  # header → modules that may include it
    r"liburing(\.h|/)": {"ring"}, r"wolfssl/": {"tls"}, r"lmdb\.h": {"state"}, r"llhttp\.h": {"http"},
    r"soci/": {"ledger"}, r"sqlite3\.h": {"ledger"},
    r"curl/": {"reconcile", "app"},
}
REGISTRY_HOSTS = r"registry\.npmjs|pypi\.org|files\.pythonhosted|crates\.io|proxy\.golang|repo1?\.maven|deb\.debian\.org"


def tracked():
    out = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True,
                         check=True).stdout
    return [path for path in out.splitlines() if os.path.isfile(os.path.join(ROOT, path))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def module_of(path):
    """Module of a source file, or None outside src/ and include/."""
    parts = path.split("/")
    if parts[:2] == ["include", "sluice"]:
        return parts[2]
    if parts[0] == "src":
        return "mock" if parts[1:3] == ["app", "mock"] else parts[1]
    return None


CODE = [path for path in tracked() if path.endswith((".cpp", ".hpp"))]


def lines():
    for path in CODE:
        in_raw = False
        for number, line in enumerate(read(path).splitlines(), 1):
            raw = in_raw or 'R"' in line
            if 'R"' in line and ')"' not in line.split('R"', 1)[1]:
                in_raw = True
            elif in_raw and ')"' in line:
                in_raw = False
            if len(line) > LINE_COLUMNS and not raw:
                yield f"{path}:{number}: {len(line)} columns"
            if "\t" in line and not raw:
                yield f"{path}:{number}: a tab"
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                yield f"{path}:{number}: unfinished"


def headers():
    for path in CODE:
        module = module_of(path)
        for number, line in enumerate(read(path).splitlines(), 1):
            included = re.match(r'\s*#include\s+[<"]([^>"]+)', line)
            for header, owners in OWNERS.items():
                if included and re.match(header, included[1]) and module is not None and module not in owners:
                    yield f"{path}:{number}: {included[1]} belongs to {', '.join(sorted(owners))}"


def includes():
    for path in CODE:
        module = module_of(path)
        if module not in MAY_USE:
            continue
        for number, line in enumerate(read(path).splitlines(), 1):
            included = re.match(r'\s*#include\s+"sluice/(\w+)/', line)
            if included and included[1] != module and included[1] not in MAY_USE[module]:
                yield f"{path}:{number}: {module} may not use {included[1]}"


def without_comments(text):
    """Comments, strings and character literals emptied, so that braces in them do not count. Lines stay."""
    def empty(match):
        return re.sub(r"[^\n]", " ", match[0])
    return re.sub(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', empty, text,
                  flags=re.S)


def blocks(text):
    """(start of the statement before it, offset of '{', offset after '}') of each block."""
    stack = []
    found = []
    for at, char in enumerate(text):
        if char == "{":
            stack.append(at)
        elif char == "}" and stack:
            opened = stack.pop()
            head = max(text.rfind(c, 0, opened) for c in ";{}")
            found.append((text[head + 1:opened].strip(), opened, at + 1))
    return found


def fields_of(body):
    """Data members of a class body: statements at its own level that declare no function and no type."""
    flat = body
    while True:
        shorter = re.sub(r"\{[^{}]*\}", "", flat)
        if shorter == flat:
            break
        flat = shorter
    count = 0
    for statement in re.split(r";", re.sub(r"\b(public|private|protected)\s*:", "", flat)):
        text = statement.strip()
        if not text or re.match(r"(using|friend|static|typedef|enum|struct|class|template|return)\b", text):
            continue
        if "(" in re.sub(r"<[^<>]*>", "", text.split("=")[0]):
            continue  # a function
        if re.search(r"[\w>*&]\s+\w", text):
            count += 1
    return count


def relay():
    for path in CODE:
        if module_of(path) != "relay":
            continue
        text = without_comments(read(path))
        for head, start, end in blocks(text):
            line = text.count("\n", 0, start) + 1
            named = re.match(r"(?:template\s*<.*>\s*)?(?:struct|class)\s+(?:\[\[.*?\]\]\s*)?(\w+)", head, flags=re.S)
            if named:
                fields = fields_of(text[start + 1:end - 1])
                if fields > RELAY_FIELDS:
                    yield f"{path}:{line}: {named[1]} has {fields} fields"
            elif re.search(r"\)\s*(const|noexcept|override|->[^;{]*|mutable|\s|:[^;{]*)*$", head) and not re.match(
                    r"(if|for|while|switch|else|do|catch|namespace)\b", head):
                length = text.count("\n", start, end)
                if length > RELAY_FUNCTION_LINES:
                    yield f"{path}:{line}: a function of {length} lines: {head.split('(')[0][-60:]}"


def public():
    for path in CODE:
        if path.startswith("include/") and not read(path).startswith("//"):
            yield f"{path}:1: does not begin with what it is for"


def hosts():
    for path in tracked():
        if path.startswith("tests/tidy/") or path.endswith((".png", ".pdf")):
            continue
        for number, line in enumerate(read(path).splitlines(), 1):
            if re.search(REGISTRY_HOSTS, line):
                yield f"{path}:{number}: names a package registry host"


def main():
    passed = failed = 0
    for rule in (lines, headers, includes, relay, public, hosts):
        problems = list(rule())
        for problem in problems[:50]:
            print(f"tidy {rule.__name__}: {problem}")
        if len(problems) > 50:
            print(f"tidy {rule.__name__}: … and {len(problems) - 50} more")
        passed += not problems
        failed += bool(problems)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
