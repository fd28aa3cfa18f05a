"""Revokes every rule of one VPC's default security group; safe to repeat."""

import boto3


def close(events, _context):
    ec2 = boto3.client("ec2")
    group_id = events["GroupId"]

    def rules():
        group = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
        if group["GroupName"] != "default":
            raise ValueError(f"{group_id} is not a default security group")
        return group["IpPermissions"], group["IpPermissionsEgress"]

    ingress, egress = rules()
    if ingress:
        ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=ingress)
    if egress:
        ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=egress)
    if any(rules()):
        raise RuntimeError(f"{group_id} still has rules")
    return {"Revoked": len(ingress) + len(egress)}
