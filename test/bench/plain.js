// The reference architecture with its default configuration, written by hand in
// JavaScript on the AWS CDK: the same resources of the same types in the same
// four stacks, with L2 constructs where the Go constructs use them. It has none of
// Postern's checks. test/bench fails when its resources are no longer the app's.
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');

const cdk = require('aws-cdk-lib');
const autoscaling = require('aws-cdk-lib/aws-autoscaling');
const cloudtrail = require('aws-cdk-lib/aws-cloudtrail');
const cloudwatch = require('aws-cdk-lib/aws-cloudwatch');
const ec2 = require('aws-cdk-lib/aws-ec2');
const events = require('aws-cdk-lib/aws-events');
const iam = require('aws-cdk-lib/aws-iam');
const kms = require('aws-cdk-lib/aws-kms');
const logs = require('aws-cdk-lib/aws-logs');
const s3 = require('aws-cdk-lib/aws-s3');
const assets = require('aws-cdk-lib/aws-s3-assets');
const sns = require('aws-cdk-lib/aws-sns');
const sqs = require('aws-cdk-lib/aws-sqs');
const ssm = require('aws-cdk-lib/aws-ssm');

const service = (name, conditions) => new iam.ServicePrincipal(name, { conditions });
const allow = (sid, props) => new iam.PolicyStatement({ sid, ...props });
const thisAccount = { StringEquals: { 'aws:SourceAccount': cdk.Aws.ACCOUNT_ID } };
const arn = (stack, service, rest) => `arn:${stack.partition}:${service}:${stack.region}:${stack.account}:${rest}`;

// programs writes a file of 5 MB that looks compressed.
function programs() {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'plain-')), 'bundle.tar.gz');
  const data = Buffer.alloc(5e6);
  for (let i = 0, x = 1; i < data.length; i += 4) {
    x = Math.imul(x, 1664525) + 1013904223;
    data.writeInt32LE(x | 0, i);
  }
  fs.writeFileSync(file, data);
  process.on('exit', () => fs.rmSync(path.dirname(file), { recursive: true }));
  return file;
}

class Archive extends cdk.Stack {
  constructor(scope, id) {
    super(scope, id, { terminationProtection: true, description: 'Keeps the evidence' });
    this.key = new kms.Key(this, 'Key', {
      description: 'Encrypts the records of access and what reports on it',
      enableKeyRotation: true,
      removalPolicy: cdk.RemovalPolicy.RETAIN,
    });
    this.keyPolicy();

    const accessLogs = this.bucket('AccessLogBucket', {
      encryption: s3.BucketEncryption.S3_MANAGED,
      lifecycleRules: [{
        id: 'AccessLogs',
        expiration: cdk.Duration.days(365),
        noncurrentVersionExpiration: cdk.Duration.days(30),
        abortIncompleteMultipartUploadAfter: cdk.Duration.days(7),
      }],
    });
    const bucket = this.bucket('Bucket', {
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: this.key,
      bucketKeyEnabled: true,
      objectLockDefaultRetention: s3.ObjectLockRetention.governance(cdk.Duration.days(365)),
      lifecycleRules: [{
        id: 'Archive',
        transitions: [{ storageClass: s3.StorageClass.INFREQUENT_ACCESS, transitionAfter: cdk.Duration.days(90) }],
        abortIncompleteMultipartUploadAfter: cdk.Duration.days(7),
      }],
    });
    const delivery = service('delivery.logs.amazonaws.com');
    const sources = { ArnLike: { 'aws:SourceArn': arn(this, 'logs', '*') } };
    bucket.addToResourcePolicy(allow('LogDeliveryWrite', {
      principals: [delivery],
      actions: ['s3:PutObject'],
      resources: [`${bucket.bucketArn}/AWSLogs/${this.account}/*`],
      conditions: { ...sources, StringEquals: { 'aws:SourceAccount': this.account, 's3:x-amz-acl': 'bucket-owner-full-control' } },
    }));
    bucket.addToResourcePolicy(allow('LogDeliveryCheck', {
      principals: [delivery],
      actions: ['s3:GetBucketAcl', 's3:ListBucket'],
      resources: [bucket.bucketArn],
      conditions: { ...sources, ...thisAccount },
    }));
    bucket.node.defaultChild.loggingConfiguration = { destinationBucketName: accessLogs.bucketName, logFilePrefix: 'archive/' };
    accessLogs.addToResourcePolicy(allow('AccessLogs', {
      principals: [service('logging.s3.amazonaws.com')],
      actions: ['s3:PutObject'],
      resources: [`${accessLogs.bucketArn}/archive/*`],
      conditions: { ArnLike: { 'aws:SourceArn': bucket.bucketArn }, ...thisAccount },
    }));

    const name = 'Postern-Archive-Trail';
    const own = { StringEquals: { 'aws:SourceArn': arn(this, 'cloudtrail', `trail/${name}`) } };
    const cloudTrail = service('cloudtrail.amazonaws.com', own);
    bucket.addToResourcePolicy(allow('TrailCheck', { principals: [cloudTrail], actions: ['s3:GetBucketAcl'], resources: [bucket.bucketArn] }));
    bucket.addToResourcePolicy(allow('TrailWrite', {
      principals: [cloudTrail], actions: ['s3:PutObject'], resources: [`${bucket.bucketArn}/trail/AWSLogs/${this.account}/*`],
    }));
    const trail = new cloudtrail.CfnTrail(this, 'Trail', {
      trailName: name,
      isLogging: true,
      isMultiRegionTrail: true,
      includeGlobalServiceEvents: true,
      enableLogFileValidation: true,
      s3BucketName: bucket.bucketName,
      s3KeyPrefix: 'trail',
      kmsKeyId: this.key.keyArn,
      eventSelectors: [{ includeManagementEvents: true, readWriteType: 'All' }],
    });
    trail.node.addDependency(bucket.policy);

    this.hostLogs = this.logGroup('Host');
    this.kinds = ['Sessions', 'Commands', 'People', 'Sshd', 'Sudo', 'Audit'].map((kind) => this.logGroup(kind));
    this.sessions = this.logGroup('SessionManager');
    this.flowLogs = this.logGroup('FlowLogs');
    this.records = bucket;
  }

  bucket(id, props) {
    const bucket = new s3.Bucket(this, id, {
      versioned: true,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      removalPolicy: cdk.RemovalPolicy.RETAIN,
      ...props,
    });
    bucket.policy.applyRemovalPolicy(cdk.RemovalPolicy.RETAIN);
    return bucket;
  }

  logGroup(id) {
    return new logs.LogGroup(this, id, {
      encryptionKey: this.key,
      retention: logs.RetentionDays.ONE_YEAR,
      removalPolicy: cdk.RemovalPolicy.RETAIN,
      deletionProtectionEnabled: true,
    });
  }

  keyPolicy() {
    const use = ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey*', 'kms:ReEncrypt*'];
    const trails = `arn:${this.partition}:cloudtrail:*:${this.account}:trail/*`;
    const autoScaling = {
      ArnEquals: {
        'aws:PrincipalArn': `arn:${this.partition}:iam::${this.account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
      },
      StringEquals: { 'kms:CallerAccount': this.account },
    };
    const statements = [
      ['CloudWatchLogs', service(`logs.${this.region}.${this.urlSuffix}`), use,
        { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': arn(this, 'logs', 'log-group:*') } }],
      ['LogDelivery', service('delivery.logs.amazonaws.com'), use,
        { ArnLike: { 'aws:SourceArn': arn(this, 'logs', '*') }, ...thisAccount }],
      ['CloudTrailEncrypt', service('cloudtrail.amazonaws.com'), ['kms:GenerateDataKey*'],
        { ArnLike: { 'aws:SourceArn': trails }, StringLike: { 'kms:EncryptionContext:aws:cloudtrail:arn': trails } }],
      ['CloudTrailCheck', service('cloudtrail.amazonaws.com'), ['kms:Decrypt', 'kms:DescribeKey'],
        { ArnLike: { 'aws:SourceArn': trails } }],
      ['CloudWatchAlarms', service('cloudwatch.amazonaws.com'), ['kms:Decrypt', 'kms:GenerateDataKey*'], thisAccount],
      ['EventBridgeRules', service('events.amazonaws.com'), ['kms:Decrypt', 'kms:GenerateDataKey*'],
        { ArnLike: { 'kms:EncryptionContext:aws:sns:topicArn': arn(this, 'sns', '*') } }],
      ['AutoScalingVolumes', new iam.AnyPrincipal(), use, autoScaling],
      ['AutoScalingVolumeGrants', new iam.AnyPrincipal(), ['kms:CreateGrant'],
        { ...autoScaling, Bool: { 'kms:GrantIsForAWSResource': 'true' } }],
    ];
    for (const [sid, principal, actions, conditions] of statements) {
      this.key.addToResourcePolicy(allow(sid, { principals: [principal], actions, resources: ['*'], conditions }));
    }
  }
}

class Network extends cdk.Stack {
  constructor(scope, id, archive) {
    super(scope, id, { description: 'What the doors stand in' });
    this.vpc = new ec2.Vpc(this, 'Vpc', {
      ipAddresses: ec2.IpAddresses.cidr('10.0.0.0/16'),
      maxAzs: 2,
      natGateways: 0,
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [
        { name: 'Isolated', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 20 },
        { name: 'Private', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 20, reserved: true },
        { name: 'Public', subnetType: ec2.SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
      ],
    });
    this.defaultSecurityGroup();
    this.flowLog(archive);
    this.endpoints();
  }

  defaultSecurityGroup() {
    const group = this.vpc.vpcDefaultSecurityGroup;
    const document = new ssm.CfnDocument(this, 'Runbook', {
      documentType: 'Automation',
      documentFormat: 'JSON',
      content: {
        schemaVersion: '0.3',
        assumeRole: '{{ AutomationAssumeRole }}',
        parameters: { GroupId: { type: 'String' }, AutomationAssumeRole: { type: 'String' } },
        mainSteps: [{
          name: 'Close',
          action: 'aws:executeScript',
          isEnd: true,
          inputs: {
            Runtime: 'python3.11',
            Handler: 'close',
            InputPayload: { GroupId: '{{ GroupId }}' },
            Script: 'def close(events, _context):\n    pass\n'.repeat(20),
          },
        }],
      },
    });
    const policy = new iam.ManagedPolicy(this, 'RunbookPolicy', {
      statements: [
        allow(undefined, { actions: ['ec2:DescribeSecurityGroups'], resources: ['*'] }),
        allow(undefined, {
          actions: ['ec2:RevokeSecurityGroupEgress', 'ec2:RevokeSecurityGroupIngress'],
          resources: [arn(this, 'ec2', `security-group/${group}`)],
        }),
      ],
    });
    const role = new iam.Role(this, 'RunbookRole', { assumedBy: service('ssm.amazonaws.com', thisAccount), managedPolicies: [policy] });
    new ssm.CfnAssociation(this, 'Association', {
      name: document.ref,
      parameters: { GroupId: [group], AutomationAssumeRole: [role.roleArn] },
      scheduleExpression: 'rate(1 day)',
      complianceSeverity: 'HIGH',
    });
  }

  flowLog(archive) {
    const policy = new iam.ManagedPolicy(this, 'FlowLogPolicy', {
      statements: [allow(undefined, {
        actions: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
        resources: [archive.flowLogs.logGroupArn],
      })],
    });
    const role = new iam.Role(this, 'FlowLogRole', {
      assumedBy: service('vpc-flow-logs.amazonaws.com', { ...thisAccount, ArnLike: { 'aws:SourceArn': arn(this, 'ec2', 'vpc-flow-log/*') } }),
      managedPolicies: [policy],
    });
    new ec2.CfnFlowLog(this, 'FlowLog', {
      resourceId: this.vpc.vpcId,
      resourceType: 'VPC',
      trafficType: 'ALL',
      maxAggregationInterval: 600,
      logDestinationType: 'cloud-watch-logs',
      logGroupName: archive.flowLogs.logGroupName,
      deliverLogsPermissionArn: role.roleArn,
    });
  }

  endpoints() {
    this.endpointGroup = new ec2.SecurityGroup(this, 'Endpoints', { vpc: this.vpc, allowAllOutbound: false });
    this.carriers = {};
    for (const name of ['ssm', 'ssmmessages']) {
      const endpoint = this.carriers[name] = new ec2.InterfaceVpcEndpoint(this, name, {
        vpc: this.vpc,
        service: new ec2.InterfaceVpcEndpointAwsService(name),
        subnets: { subnets: this.vpc.isolatedSubnets },
        securityGroups: [this.endpointGroup],
        open: false,
        privateDnsEnabled: true,
      });
      endpoint.addToPolicy(allow('ThisAccount', {
        principals: [new iam.StarPrincipal()],
        actions: ['*'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:PrincipalAccount': this.account } },
      }));
    }
    const gateway = new ec2.GatewayVpcEndpoint(this, 's3', { vpc: this.vpc, service: ec2.GatewayVpcEndpointAwsService.S3 });
    gateway.addToPolicy(allow('ThisAccountInItsOwnBuckets', {
      principals: [new iam.StarPrincipal()],
      actions: ['s3:*'],
      resources: ['*'],
      conditions: { StringEquals: { 'aws:PrincipalAccount': this.account, 'aws:ResourceAccount': this.account } },
    }));
    const packages = [
      `al2023-repos-${this.region}-de612dc2`, `amazon-ssm-${this.region}`, `amazon-ssm-packages-${this.region}`,
      `${this.region}-birdwatcher-prod`, `aws-ssm-${this.region}`, `aws-ssm-distributor-file-${this.region}`,
      `aws-ssm-document-attachments-${this.region}`, `aws-patch-manager-${this.region}-*`,
      `patch-baseline-snapshot-${this.region}`, `patch-baseline-snapshot-${this.region}-*`,
    ];
    gateway.addToPolicy(allow('PublicBucketsOfAws', {
      principals: [new iam.StarPrincipal()],
      actions: ['s3:GetObject'],
      resources: packages.map((name) => `arn:${this.partition}:s3:::${name}/*`),
    }));
  }
}

class Access extends cdk.Stack {
  constructor(scope, id, archive, network) {
    super(scope, id, { description: 'The doors' });
    const vpc = network.vpc;
    const group = new ec2.SecurityGroup(this, 'Bastion', { vpc, allowAllOutbound: false });
    group.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'HTTPS to AWS and package repositories');
    group.connections.allowTo(network.endpointGroup, ec2.Port.tcp(443), 'AWS APIs by VPC endpoint');

    const address = new ec2.CfnEIP(this, 'Address', { domain: 'vpc' });
    const role = new iam.Role(this, 'Role', { assumedBy: service('ec2.amazonaws.com') });
    const policy = new iam.ManagedPolicy(this, 'Policy', { roles: [role], statements: this.statements(archive, address) });
    // As large as what runs on the host of the Go app.
    const bundle = new assets.Asset(this, 'Bundle', { path: programs(), assetHash: 'programs' });
    const records = new iam.ManagedPolicy(this, 'RecordsPolicy', { roles: [role], statements: this.recordStatements(archive, bundle) });
    // As long as the user data of the Go app, which is mostly compressed.
    const payload = Buffer.alloc(7000, 'bastion').toString('base64');
    const template = new ec2.LaunchTemplate(this, 'LaunchTemplate', {
      instanceType: new ec2.InstanceType('t4g.micro'),
      machineImage: ec2.MachineImage.resolveSsmParameterAtLaunch(
        '/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64', { os: ec2.OperatingSystemType.LINUX }),
      userData: ec2.UserData.custom([
        '#!/bin/bash',
        `export AWS_REGION=${this.region} STACK=${this.stackName} LOG_GROUP=${archive.hostLogs.logGroupName}`,
        `export BUNDLE=${bundle.s3BucketName}/${bundle.s3ObjectKey} BUCKET=${archive.records.bucketName} KEY=${archive.key.keyArn}`,
        `export LOG_GROUPS=${archive.kinds.map((kind) => kind.logGroupName)}`,
        `export SIGNAL=${cdk.Lazy.string({ produce: () => scaling.node.defaultChild.logicalId })} ADDRESS=${address.attrAllocationId}`,
        `base64 -d <<< ${payload} | tar -xz`,
      ].join('\n')),
      role,
      securityGroup: group,
      associatePublicIpAddress: true,
      requireImdsv2: true,
      httpPutResponseHopLimit: 1,
      instanceMetadataTags: false,
      ebsOptimized: true,
      detailedMonitoring: false,
      blockDevices: [{
        deviceName: '/dev/xvda',
        volume: ec2.BlockDeviceVolume.ebs(8, {
          volumeType: ec2.EbsDeviceVolumeType.GP3, encrypted: true, kmsKey: archive.key, deleteOnTermination: true,
        }),
      }],
    });
    const scaling = new autoscaling.AutoScalingGroup(this, 'Group', {
      vpc,
      vpcSubnets: { subnets: vpc.publicSubnets },
      launchTemplate: template,
      minCapacity: 1,
      maxCapacity: 2,
      minHealthyPercentage: 100,
      maxHealthyPercentage: 200,
      healthChecks: autoscaling.HealthChecks.ec2({ gracePeriod: cdk.Duration.minutes(15) }),
      defaultInstanceWarmup: cdk.Duration.minutes(5),
      cooldown: cdk.Duration.minutes(5),
      maxInstanceLifetime: cdk.Duration.days(30),
      terminationPolicies: [autoscaling.TerminationPolicy.OLDEST_LAUNCH_TEMPLATE, autoscaling.TerminationPolicy.OLDEST_INSTANCE],
      groupMetrics: [autoscaling.GroupMetrics.all()],
      updatePolicy: autoscaling.UpdatePolicy.rollingUpdate({
        minInstancesInService: 1,
        maxBatchSize: 1,
        minSuccessPercentage: 100,
        waitOnResourceSignals: true,
        pauseTime: cdk.Duration.minutes(15),
      }),
    });
    scaling.node.defaultChild.cfnOptions.creationPolicy = {
      resourceSignal: { count: 1, timeout: 'PT15M' },
      autoScalingCreationPolicy: { minSuccessfulInstancesPercent: 100 },
    };
    scaling.node.defaultChild.lifecycleHookSpecificationList = [{
      lifecycleHookName: 'proved', lifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING', defaultResult: 'ABANDON', heartbeatTimeout: 900,
    }];
    scaling.node.addDependency(policy, records);
    this.groupName = scaling.autoScalingGroupName;
    cdk.Tags.of(template).add('Name', this.node.path);
    cdk.Tags.of(scaling).add('Name', this.node.path);
    cdk.Tags.of(scaling.node.defaultChild).add('postern:bastion', this.node.path);
    cdk.Tags.of(address).add('Name', this.node.path);

    this.shell(archive, role);

    const endpointGroup = new ec2.SecurityGroup(this, 'InstanceConnectGroup', { vpc, allowAllOutbound: false });
    endpointGroup.addEgressRule(ec2.Peer.ipv4('127.0.0.1/32'), ec2.Port.allTraffic(), 'Nowhere');
    new ec2.CfnInstanceConnectEndpoint(this, 'InstanceConnect', {
      subnetId: vpc.isolatedSubnets[0].subnetId,
      securityGroupIds: [endpointGroup.securityGroupId],
      preserveClientIp: false,
    });
    endpointGroup.connections.allowTo(group, ec2.Port.tcp(22), 'SSH to the bastion');

    for (const id of ['Sessions', 'Transcript', 'UnrecordedSessions', 'FollowSession']) {
      new cdk.CfnOutput(this, id, { value: `aws --region ${this.region} s3://${archive.records.bucketName} ${archive.sessions.logGroupName}`, description: id });
    }
    for (const id of ['KnownHosts', 'AddPerson', 'RemovePerson', 'Replay']) {
      new cdk.CfnOutput(this, id, { value: `aws --region ${this.region} s3://${archive.records.bucketName}`, description: id });
    }
    for (const id of ['StartSession', 'SSHConfig', 'InstanceConnectSSH']) {
      new cdk.CfnOutput(this, id, { value: `aws --region ${this.region} --group ${this.groupName} --address ${address.ref}`, description: id });
    }
    new cdk.CfnOutput(this, 'PublicAddress', { value: address.ref });
  }

  // shell is the session document, and what the host does to record its sessions.
  shell(archive, role) {
    const transcripts = `${archive.records.bucketArn}/session-manager/*`;
    const hosts = new iam.ManagedPolicy(this, 'ShellHostPolicy', {
      roles: [role],
      statements: [
        allow('FindLogGroup', { actions: ['logs:DescribeLogGroups'], resources: ['*'], conditions: { StringEquals: { 'aws:RequestedRegion': this.region } } }),
        allow('Stream', { actions: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'], resources: [archive.sessions.logGroupArn] }),
        allow('ExamineBucket', { actions: ['s3:GetEncryptionConfiguration'], resources: [archive.records.bucketArn] }),
        allow('Transcript', { actions: ['s3:PutObject'], resources: [transcripts] }),
        allow('TranscriptOwner', {
          actions: ['s3:PutObjectAcl'], resources: [transcripts], conditions: { StringEquals: { 's3:x-amz-acl': 'bucket-owner-full-control' } },
        }),
        allow('TranscriptKey', {
          actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
          resources: [archive.key.keyArn],
          conditions: { StringLike: { 'kms:EncryptionContext:aws:s3:arn': [archive.records.bucketArn, transcripts] } },
        }),
      ],
    });
    const document = new ssm.CfnDocument(this, 'Shell', {
      name: `${this.stackName}-Shell`,
      documentType: 'Session',
      documentFormat: 'JSON',
      updateMethod: 'NewVersion',
      content: {
        schemaVersion: '1.0',
        sessionType: 'Standard_Stream',
        inputs: {
          s3BucketName: archive.records.bucketName, s3KeyPrefix: 'session-manager', s3EncryptionEnabled: true,
          cloudWatchLogGroupName: archive.sessions.logGroupName, cloudWatchEncryptionEnabled: true, cloudWatchStreamingEnabled: true,
          kmsKeyId: '', runAsEnabled: true, runAsDefaultUser: 'ec2-user', idleSessionTimeout: '20', maxSessionDuration: '720',
          shellProfile: { linux: '', windows: '' },
        },
      },
    });
    document.node.addDependency(hosts);
  }

  recordStatements(archive, bundle) {
    const bucket = archive.records.bucketArn;
    const kept = arn(this, 'ssm', `parameter/postern/${this.stackName}`);
    const secrets = [`${kept}/host-keys/*`, `${kept}/totp/*`];
    const through = (name, context) => ({ StringEquals: { 'kms:ViaService': `${name}.${this.region}.amazonaws.com` }, StringLike: context });
    const ofBucket = through('s3', { 'kms:EncryptionContext:aws:s3:arn': [bucket, `${bucket}/*`] });
    return [
      allow('Bundle', { actions: ['s3:GetObject'], resources: [`arn:${this.partition}:s3:::${bundle.s3BucketName}/${bundle.s3ObjectKey}`] }),
      allow('Records', { actions: ['s3:PutObject'], resources: [`${bucket}/sessions/*`] }),
      allow('PeopleNames', { actions: ['s3:ListBucket'], resources: [bucket], conditions: { StringEquals: { 's3:prefix': 'public-keys/' } } }),
      allow('PeopleKeys', { actions: ['s3:GetObject'], resources: [`${bucket}/public-keys/*`] }),
      allow('RecordsKey', { actions: ['kms:GenerateDataKey'], resources: [archive.key.keyArn], conditions: ofBucket }),
      allow('PeopleKeysKey', { actions: ['kms:Decrypt'], resources: [archive.key.keyArn], conditions: ofBucket }),
      allow('Kept', { actions: ['ssm:GetParameter', 'ssm:GetParameters'], resources: [`${kept}/host-certs/*`, `${kept}/known_hosts`, ...secrets] }),
      allow('Keep', { actions: ['ssm:PutParameter'], resources: [`${kept}/host-keys/*`], conditions: { StringEquals: { 'ssm:Overwrite': 'false' } } }),
      allow('Factors', { actions: ['ssm:DeleteParameter', 'ssm:PutParameter'], resources: [`${kept}/totp/*`] }),
      allow('Publish', { actions: ['ssm:PutParameter'], resources: [`${kept}/known_hosts`] }),
      allow('KeptKey', {
        actions: ['kms:Decrypt', 'kms:Encrypt'],
        resources: [archive.key.keyArn],
        conditions: through('ssm', { 'kms:EncryptionContext:PARAMETER_ARN': secrets }),
      }),
    ];
  }

  statements(archive, address) {
    const allocation = address.attrAllocationId;
    return [
      allow('Sessions', {
        actions: ['ssm:UpdateInstanceInformation', 'ssmmessages:CreateControlChannel', 'ssmmessages:CreateDataChannel',
          'ssmmessages:OpenControlChannel', 'ssmmessages:OpenDataChannel'],
        resources: ['*'],
      }),
      allow('Log', { actions: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'], resources: [archive.hostLogs, ...archive.kinds].map((g) => g.logGroupArn) }),
      allow('Metrics', { actions: ['cloudwatch:PutMetricData'], resources: ['*'], conditions: { StringEquals: { 'cloudwatch:namespace': 'Postern/Bastion' } } }),
      allow('GroupName', { actions: ['ec2:DescribeTags'], resources: ['*'] }),
      allow('InService', {
        actions: ['autoscaling:CompleteLifecycleAction'],
        resources: [arn(this, 'autoscaling', 'autoScalingGroup:*:autoScalingGroupName/*')],
        conditions: { StringEquals: { 'aws:ResourceTag/postern:bastion': this.node.path } },
      }),
      allow('Ready', { actions: ['cloudformation:SignalResource'], resources: [cdk.Aws.STACK_ID] }),
      allow('Address', { actions: ['ec2:AssociateAddress'], resources: [arn(this, 'ec2', `elastic-ip/${allocation}`)] }),
      allow('AddressHolders', {
        actions: ['ec2:AssociateAddress'],
        resources: [arn(this, 'ec2', 'instance/*'), arn(this, 'ec2', 'network-interface/*')],
        conditions: { StringEquals: { 'aws:ResourceTag/postern:address': allocation } },
      }),
    ];
  }
}

class Watch extends cdk.Stack {
  constructor(scope, id, archive, network, access) {
    super(scope, id, { description: 'What tells people' });
    this.group = access.groupName;
    this.topic = new sns.Topic(this, 'Topic', { displayName: 'Postern', masterKey: archive.key, enforceSSL: true });
    this.topic.addToResourcePolicy(allow('CloudWatchAlarms', {
      principals: [service('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [this.topic.topicArn],
      conditions: thisAccount,
    }));
    const dashboard = new cloudwatch.Dashboard(this, 'Dashboard');
    const wanted = this.metric('AWS/AutoScaling', 'GroupDesiredCapacity', 'Maximum', 1);
    const running = this.metric('AWS/AutoScaling', 'GroupInServiceInstances', 'Minimum', 1);
    const failed = this.metric('AWS/EC2', 'StatusCheckFailed', 'Maximum', 1);
    const cpu = this.metric('AWS/EC2', 'CPUUtilization', 'Average', 5);
    const beats = this.metric('Postern/Bastion', 'mem_used_percent', 'SampleCount', 5);
    const memory = this.metric('Postern/Bastion', 'mem_used_percent', 'Maximum', 5);
    const disk = this.metric('Postern/Bastion', 'disk_used_percent', 'Maximum', 5);
    const counted = (id, filterPattern) => {
      const metricName = `${id} ${this.node.path}`;
      new logs.CfnMetricFilter(this, id, {
        logGroupName: archive.hostLogs.logGroupName,
        filterPattern,
        metricTransformations: [{ metricNamespace: 'Postern/Bastion', metricName, metricValue: '1' }],
      });
      return new cloudwatch.Metric({ namespace: 'Postern/Bastion', metricName, statistic: 'Sum', period: cdk.Duration.minutes(10) });
    };
    const broken = counted('Broken', '{ ($.postern = "alarm") || (($.postern = "check") && ($.result = "fail")) }');
    const checks = counted('Checks', '{ $.postern = "check" }');
    const seldom = { Failed: 'FAILED', Invalid: 'INVALID', Accepted: 'ACCEPTED', Sudo: 'SUDO', Integrity: 'INTEGRITY', Audit: 'AUDIT', People: 'PEOPLE', Users: 'USERS', Gap: 'GAP', Full: 'FULL', Stale: 'STALE', Arrival: 'ARRIVAL', Unsure: 'UNSURE' };
    const lines = Object.entries(seldom).map(([id, word]) => [id, counted(id, `{ $.told = "${word}" }`)]);
    const never = cloudwatch.TreatMissingData.NOT_BREACHING;
    const lost = this.notices();
    const alarms = [
      ...lines.slice(0, 9).map(([id, metric]) => this.alarm(`${id}Told`, metric, 1, 1, never)),
      this.alarm('Lost', lost, 1, 1, never),
      this.alarm('InService', new cloudwatch.MathExpression({
        expression: 'IF((desired > 0) AND (inService < 1), 1, 0)',
        period: cdk.Duration.minutes(1),
        usingMetrics: { desired: wanted, inService: running },
      }), 1, 10, cloudwatch.TreatMissingData.BREACHING),
      this.alarm('StatusCheck', failed, 1, 3, cloudwatch.TreatMissingData.NOT_BREACHING),
      this.alarm('Cpu', cpu, 90, 3, cloudwatch.TreatMissingData.NOT_BREACHING),
      this.alarm('HostPromise', broken, 1, 1, cloudwatch.TreatMissingData.NOT_BREACHING),
      this.alarm('HostUnproven', new cloudwatch.MathExpression({
        expression: 'IF((desired > 0) AND (FILL(checks, 0) < 1), 1, 0)',
        period: cdk.Duration.minutes(10),
        usingMetrics: { desired: wanted, checks },
      }), 1, 3, cloudwatch.TreatMissingData.BREACHING),
      this.alarm('AgentSilent', new cloudwatch.MathExpression({
        expression: 'IF((desired > 0) AND (FILL(beats, 0) < 1), 1, 0)',
        period: cdk.Duration.minutes(5),
        usingMetrics: { desired: wanted, beats },
      }), 1, 3, cloudwatch.TreatMissingData.BREACHING),
      this.alarm('Memory', memory, 90, 3, cloudwatch.TreatMissingData.NOT_BREACHING),
      this.alarm('Disk', disk, 85, 3, cloudwatch.TreatMissingData.NOT_BREACHING),
    ];
    for (const id of ['Door', 'Strained']) {
      new cloudwatch.CompositeAlarm(this, id, {
        alarmDescription: `${id} of ${this.group}`,
        alarmRule: cloudwatch.AlarmRule.anyOf(...alarms.slice(0, 3).map((a) => cloudwatch.AlarmRule.fromAlarm(a, cloudwatch.AlarmState.ALARM))),
      });
    }
    const sessions = this.sessions(network);
    this.queries(archive);
    dashboard.addWidgets(new cloudwatch.AlarmStatusWidget({ title: 'Bastion', alarms, width: 24, height: 3 }));
    const graph = (title, ...left) => new cloudwatch.GraphWidget({ title, left, width: 12, height: 6, leftYAxis: { min: 0, showUnits: false } });
    dashboard.addWidgets(graph('instances', wanted, running), graph('failed status checks', failed), graph('CPU', cpu), graph('checks and broken promises', broken, checks),
      graph('memory and disk', memory, disk), graph('agent', beats),
      graph('packets dropped at endpoints', ...sessions));
  }

  // sessions is Session Manager as a door: packets that its endpoints drop.
  sessions(network) {
    const metrics = Object.entries(network.carriers).map(([service, endpoint]) => new cloudwatch.Metric({
      namespace: 'AWS/PrivateLinkEndpoints', metricName: 'PacketsDropped', statistic: 'Sum', period: cdk.Duration.minutes(5),
      dimensionsMap: {
        'Endpoint Type': 'Interface', 'Service Name': `com.amazonaws.${this.region}.${service}`,
        'VPC Endpoint Id': endpoint.vpcEndpointId, 'VPC Id': network.vpc.vpcId,
      },
    }));
    const alarms = metrics.map((metric, i) => this.alarm(`Dropped${i}`, metric, 100, 3, cloudwatch.TreatMissingData.NOT_BREACHING));
    new cloudwatch.CompositeAlarm(this, 'SessionManagerDoor', {
      alarmDescription: 'Session Manager',
      alarmRule: cloudwatch.AlarmRule.anyOf(...alarms.map((a) => cloudwatch.AlarmRule.fromAlarm(a, cloudwatch.AlarmState.ALARM))),
    });
    return metrics;
  }

  // notices are rules that publish what CloudTrail sees, with a dead-letter queue.
  notices() {
    const queue = new sqs.CfnQueue(this, 'Undelivered', { sqsManagedSseEnabled: true, messageRetentionPeriod: 14 * 24 * 3600 });
    new sqs.CfnQueuePolicy(this, 'UndeliveredPolicy', {
      queues: [queue.ref],
      policyDocument: new iam.PolicyDocument({
        statements: [allow('Rules', {
          principals: [service('events.amazonaws.com')], actions: ['sqs:SendMessage'], resources: [queue.attrArn], conditions: thisAccount,
        })],
      }),
    });
    this.topic.addToResourcePolicy(allow('EventBridgeRules', {
      principals: [service('events.amazonaws.com')], actions: ['sns:Publish'], resources: [this.topic.topicArn],
    }));
    const told = {
      Records: ['cloudtrail.amazonaws.com', 'StopLogging'], Stores: ['s3.amazonaws.com', 'PutBucketPolicy'], Ways: ['ssm.amazonaws.com', 'UpdateDocument'],
      Ports: ['ec2.amazonaws.com', 'AuthorizeSecurityGroupIngress'], Rules: ['events.amazonaws.com', 'DisableRule'], Readers: ['sns.amazonaws.com', 'Unsubscribe'],
      Alarms: ['monitoring.amazonaws.com', 'DisableAlarmActions'], Delivery: ['kms.amazonaws.com', 'DisableKey'], Deployment: ['cloudformation.amazonaws.com', 'DeleteStack'],
      Console: ['ec2-instance-connect.amazonaws.com', 'SendSerialConsoleSSHPublicKey'], Refused: ['ssm.amazonaws.com', 'StartSession'],
    };
    for (const [id, [eventSource, eventName]] of Object.entries(told)) {
      new events.CfnRule(this, `Tells${id}`, {
        description: `Tells of ${eventName}`,
        state: 'ENABLED',
        eventPattern: { 'detail-type': ['AWS API Call via CloudTrail'], detail: { eventSource: [eventSource], eventName: [eventName] } },
        targets: [{
          id: 'Topic',
          arn: this.topic.topicArn,
          deadLetterConfig: { arn: queue.attrArn },
          inputTransformer: { inputPathsMap: { who: '$.detail.userIdentity.arn', when: '$.time' }, inputTemplate: `"${eventName} by <who> at <when>"` },
        }],
      });
    }
    return new cloudwatch.Metric({
      namespace: 'AWS/SQS', metricName: 'ApproximateNumberOfMessagesVisible', statistic: 'Maximum', dimensionsMap: { QueueName: queue.attrQueueName },
    });
  }

  // queries are the questions that an investigation asks.
  queries(archive) {
    for (let i = 1; i <= 11; i++) {
      new logs.CfnQueryDefinition(this, `Query${i}`, {
        name: `Postern/Question ${i}`,
        queryString: `fields @timestamp, @message | filter person = "{{person}}" | sort @timestamp | limit ${i}00`,
        logGroupNames: [archive.hostLogs.logGroupName],
      });
    }
  }

  metric(namespace, metricName, statistic, minutes) {
    return new cloudwatch.Metric({
      namespace, metricName, statistic, period: cdk.Duration.minutes(minutes), dimensionsMap: { AutoScalingGroupName: this.group },
    });
  }

  alarm(id, metric, threshold, evaluationPeriods, treatMissingData) {
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmDescription: `${id} of ${this.group}`,
      metric,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      threshold,
      evaluationPeriods,
      treatMissingData,
    });
    const action = { bind: () => ({ alarmActionArn: this.topic.topicArn }) };
    alarm.addAlarmAction(action);
    alarm.addOkAction(action);
    return alarm;
  }
}

const app = new cdk.App();
const archive = new Archive(app, 'Plain-Archive');
const network = new Network(app, 'Plain-Network', archive);
const access = new Access(app, 'Plain-Access', archive, network);
new Watch(app, 'Plain-Watch', archive, network, access);
app.synth();
