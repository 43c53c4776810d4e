"""Where a build has put its programs."""
import os
import sys


def program_path(build, relative):
    path = os.path.join(build, relative)
    if not os.path.exists(path):
        sys.exit(f"error: {path} is missing: tools/build release {relative}")
    return path


def find_programs(build):
    """The directory that holds sluice, sluice-edge and sluice-reconciler as links."""
    build = os.path.abspath(build)
    directory = os.path.join(build, "programs")
    os.makedirs(directory, exist_ok=True)
    for path, _, files in os.walk(os.path.join(build, "src", "app")):
        for name in files:
            if name in ("sluice", "sluice-edge", "sluice-reconciler", "sluice-mock"):
                link = os.path.join(directory, name)
                if os.path.lexists(link):
                    os.remove(link)
                os.symlink(os.path.join(path, name), link)
    return directory
