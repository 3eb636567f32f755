"""A certificate, and the authority that signed it, which nobody else trusts."""

import subprocess

DAYS = "2"
KEY = ("-newkey", "rsa:2048", "-nodes")


def create(directory, names="DNS:localhost"):
    """For some names, answers the files of the authority, the certificate and its key."""
    authority, authority_key = directory / "authority.pem", directory / "authority.key"
    certificate, key = directory / "broker.pem", directory / "broker.key"
    request, extensions = directory / "broker.csr", directory / "broker.ext"
    extensions.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    openssl("req", "-x509", *KEY, "-keyout", authority_key, "-out", authority, "-days", DAYS, "-subj", "/CN=test")
    openssl("req", *KEY, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
    signed_by = ("-CA", authority, "-CAkey", authority_key, "-CAcreateserial")
    openssl("x509", "-req", "-in", request, *signed_by, "-out", certificate, "-days", DAYS, "-extfile", extensions)
    return authority, certificate, key


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
