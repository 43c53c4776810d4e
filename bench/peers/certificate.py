"""A certificate for a run: what clients and gateways of it trust."""
import os
import subprocess


def make_certificate(directory):
    """ECDSA P-256 for localhost: one PEM file with certificate and key."""
    key, certificate, both = (os.path.join(directory, name) for name in ("key.pem", "cert.pem", "both.pem"))
    subprocess.run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", key], check=True,
                   capture_output=True)
    subprocess.run(["openssl", "req", "-x509", "-new", "-key", key, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", certificate], check=True, capture_output=True)
    with open(both, "w") as out:
        for path in (certificate, key):
            with open(path) as part:
                out.write(part.read())
    return both
