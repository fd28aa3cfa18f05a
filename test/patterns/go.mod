module github.com/postern-cdk/postern/test/patterns

go 1.26.0

require (
	github.com/postern-cdk/postern v0.0.0
	github.com/stretchr/testify v1.12.1
	quamina.net/go/quamina v1.4.0
)

require go.yaml.in/yaml/v3 v3.0.6 // indirect

replace (
	github.com/postern-cdk/postern => ../..
	// The same source, by the address that module proxies have it at.
	quamina.net/go/quamina => github.com/timbray/quamina v1.4.0
)
