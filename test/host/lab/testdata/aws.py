#!/usr/bin/python3 -IS
"""Hands a command line of the AWS CLI to awsd.py, with what it would inherit."""
import os
import socket
import sys

server = socket.socket(socket.AF_UNIX)
server.connect("/run/lab-aws.sock")
parts = [[os.getcwd()], ["%s=%s" % pair for pair in os.environ.items()], sys.argv[1:]]
socket.send_fds(server, [os.fsencode("\0\0".join("\0".join(part) for part in parts))], [0, 1, 2])
code = server.recv(1)
sys.exit(code[0] if code else 255)
