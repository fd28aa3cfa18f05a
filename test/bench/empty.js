// What every synthesis from JavaScript costs, see empty/main.go.
'use strict';

const cdk = require('aws-cdk-lib');

const app = new cdk.App();
new cdk.Stack(app, 'Empty');
app.synth();
