package main

import "github.com/postern-cdk/postern/internal/host/chain"

func init() { commands = append(commands, chain.ExportCommand()) }
