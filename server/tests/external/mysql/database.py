"""A real MariaDB on this machine, with a directory and a port of its own."""

import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import certificates
import servers

START_MAX_S = 60
LOOK_EVERY_S = 0.1
USER, PASSWORD = "zipkin", "what-nobody-guesses"
# Who may not come without TLS.
TLS_USER = "encrypted"
OPTIONS = (
    "--bind-address=127.0.0.1",
    "--innodb-buffer-pool-size=128M",
    "--max-connections=60",
    "--performance-schema=off",
    "--skip-log-bin",
    # Commits survive the end of the process, which is all that is done to it here; the contract makes thousands.
    "--innodb-flush-log-at-trx-commit=2",
)


class DatabaseFailed(Exception):
    """The database did not do what it was asked."""


class Database(servers.Neighbour):
    """Listens on the loopback interface; its port and its tables stay the same over restarts."""

    def __init__(self, directory, options=OPTIONS, disk=None):
        """What it keeps is on `disk`, or where the rest is."""
        self.options = options
        self.port = servers.free_port()
        self.data = (disk or directory) / "mariadb"
        self.socket = self.data / "socket"
        self.output = directory / "mariadb-output"
        self.data.mkdir()
        self.account = []
        self.authority, *self.identity = certificates.create(directory)
        if os.geteuid() == 0:
            # It does not run as root; its directory may be looked through by whom it runs as.
            account = pwd.getpwnam("mysql")
            directory.chmod(0o711)
            for path in (self.data, self.authority, *self.identity):
                shutil.chown(path, account.pw_uid, account.pw_gid)
            self.account = ["--user=mysql"]
        self.run(
            "mariadb-install-db",
            *self.account,
            f"--datadir={self.data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )

    def run(self, program, *arguments, text=None):
        finished = subprocess.run(
            [program, "--no-defaults", *arguments], input=text, capture_output=True, text=True
        )
        if finished.returncode != 0:
            raise DatabaseFailed(f"{program}: {finished.stdout}{finished.stderr}")
        return finished.stdout

    def start(self):
        """Returns once it answers."""
        command = ["mariadbd", "--no-defaults", *self.account, *self.options]
        certificate, key = self.identity
        command += [f"--ssl-ca={self.authority}", f"--ssl-cert={certificate}", f"--ssl-key={key}"]
        command += [f"--datadir={self.data}", f"--socket={self.socket}", f"--port={self.port}"]
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_MAX_S
        while True:
            if self.process.poll() is not None:
                raise DatabaseFailed(f"it ended at start:\n{self.output.read_text(errors='replace')}")
            try:
                self.ask("SELECT 1")
                return
            except DatabaseFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_EVERY_S)

    def let_in(self, password=PASSWORD):
        """Whoever has the password may do everything."""
        for user, require in ((USER, "NONE"), (TLS_USER, "SSL")):
            account = f"{user}@'127.0.0.1'"
            self.ask(
                f"CREATE USER IF NOT EXISTS {account};"
                f"ALTER USER {account} IDENTIFIED BY '{password}' REQUIRE {require};"
                f"GRANT ALL ON *.* TO {account}"
            )

    def ask(self, sql, database=""):
        """Rows, a list of columns each, as text."""
        answer = self.run(
            "mariadb", "-uroot", f"--socket={self.socket}", "--batch", "--skip-column-names", database, text=sql
        )
        return [line.split("\t") for line in answer.splitlines()]

    def cut_connections(self):
        """Ends every connection of the server; answers how many."""
        count = f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{USER}'"
        ((ended,),) = self.ask(f"{count}; KILL USER {USER}@'127.0.0.1'")
        return int(ended)
