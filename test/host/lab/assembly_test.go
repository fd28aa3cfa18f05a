package lab_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/test/host/lab"
)

func TestFromAssembly(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"Access.template.json": `{"Resources": {
			"Logs1234": {"Type": "AWS::Logs::LogGroup"},
			"Address5678": {"Type": "AWS::EC2::EIP"},
			"Template": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": {"UserData": {"Fn::Base64": {"Fn::Join": ["", [
				"#!/bin/bash\nREGION=", {"Ref": "AWS::Region"}, "\nLOG_GROUP=", {"Ref": "Logs1234"},
				"\nADDRESS=", {"Fn::GetAtt": ["Address5678", "AllocationId"]}, "\nARCHIVE=", {"Fn::ImportValue": "Archive:ExportsOutput99"},
				"\nASSETS=", {"Fn::Sub": "cdk-assets-${AWS::AccountId}-${AWS::Region}"}, "\n"]]}}}}}},
			"Outputs": {"Fetch": {"Value": {"Fn::Join": ["", ["aws s3 ls s3://", {"Fn::ImportValue": "Archive:ExportsOutput99"}]]}}}}`,
		"Access.assets.json": `{"files": {
			"aa": {"source": {"path": "asset.aa.tgz", "packaging": "file"}, "destinations": {"d": {"bucketName": "cdk-assets-${AWS::AccountId}-${AWS::Region}", "objectKey": "aa.tgz"}}},
			"bb": {"source": {"path": "asset.bb", "packaging": "zip"}, "destinations": {"d": {"bucketName": "b", "objectKey": "bb.zip"}}}}}`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	values := map[string]string{"Logs": "/postern/bastion", "Address.AllocationId": "eipalloc-1", "Archive:": "records"}
	d, err := lab.FromAssembly(folder, "Access", values)
	require.NoError(t, err)
	assert.Equal(t, "#!/bin/bash\nREGION=eu-west-1\nLOG_GROUP=/postern/bastion\nADDRESS=eipalloc-1\nARCHIVE=records\nASSETS=cdk-assets-123456789012-eu-west-1\n", string(d.UserData))
	assert.Equal(t, []lab.Asset{{"cdk-assets-123456789012-eu-west-1", "aa.tgz", filepath.Join(folder, "asset.aa.tgz")}}, d.Assets)

	assert.Equal(t, map[string]string{"Fetch": "aws s3 ls s3://records"}, d.Outputs)

	delete(values, "Address.AllocationId")
	_, err = lab.FromAssembly(folder, "Access", values)
	assert.ErrorContains(t, err, "no value for Fn::GetAtt Address5678.AllocationId")
}
