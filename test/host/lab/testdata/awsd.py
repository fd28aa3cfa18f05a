#!/usr/bin/python3
"""The AWS CLI of the host, loaded once: a process of its own for each command line.

To start python and to load the CLI takes ten times as long as what most commands
do. awsd.py is the server, on the socket that it is given; aws.py beside it takes the
place of the command.
"""
import os
import socket
import sys

from awscli.clidriver import AWSCLIEntryPoint, create_clidriver


def serve(connection, driver):
    """Runs one command line, as the process that it is in."""
    data, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    folder, environment, arguments = (part.split("\0") for part in os.fsdecode(data).split("\0\0"))
    for standard, file in enumerate(files):
        os.dup2(file, standard)
    os.chdir(folder[0])
    os.environ.clear()
    os.environ.update(line.split("=", 1) for line in environment)
    sys.argv[:] = ["aws", *arguments]
    code = AWSCLIEntryPoint(driver).main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(bytes([code & 255]))


def main():
    driver = create_clidriver()
    for service in ("s3", "ssm"):
        driver.session.create_client(service, "eu-west-1", aws_access_key_id="none", aws_secret_access_key="none")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            if os.fork() == 0:  # nobody has to wait for it
                code = 1
                try:
                    serve(connection, driver)
                    code = 0
                finally:
                    os._exit(code)
            os._exit(0)
        connection.close()
        os.wait()


main()
