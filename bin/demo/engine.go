package main

import "github.com/postern-cdk/postern/internal/localcfn"

// startLocal starts our own CloudFormation on a free port of the loopback interface.
func startLocal(region string) (engine, error) {
	server, err := localcfn.New(localcfn.Options{Region: region})
	if err != nil {
		return nil, err
	}
	if err := server.Start("127.0.0.1:0"); err != nil {
		return nil, err
	}
	return server, nil
}
