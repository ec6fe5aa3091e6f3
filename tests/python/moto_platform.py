"""centime against moto: an AWS that centime's authors did not write.

Builds a small platform in a member account, switches on moto's signature and IAM checks, runs `centime collect`
as a user who may only assume the member's role with the right external id, and compares what centime kept with
what was built. Cost Explorer and CloudWatch, which moto cannot play for the Rust SDK, are sent to the sandbox.

usage: moto_platform.py --centime PATH --sandbox URL
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

MEMBER = "222222222222"
EXTERNAL_ID = "shared-with-centime"
REGION = "eu-west-1"

READ_ONLY = [
    "kafka:List*", "kafka:Describe*",
    "elasticmapreduce:List*", "elasticmapreduce:Describe*", "elasticmapreduce:Get*",
    "emr-serverless:List*", "emr-serverless:Get*",
    "lambda:List*", "lambda:Get*", "logs:DescribeLogGroups",
    "rds:Describe*", "rds:ListTagsForResource",
    "s3:ListAllMyBuckets", "s3:GetBucket*", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration",
    "s3:GetIntelligentTieringConfiguration", "s3:GetMetricsConfiguration", "s3:ListBucketMultipartUploads",
    "s3:ListBucket*", "s3:List*", "s3:Get*",
]


def client(endpoint, service, keys=("root", "root"), token=None, region=REGION):
    return boto3.client(
        service, endpoint_url=endpoint, region_name=region, aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1], aws_session_token=token)


def member_keys(endpoint, external_id=EXTERNAL_ID, keys=("root", "root")):
    answer = client(endpoint, "sts", keys).assume_role(
        RoleArn=f"arn:aws:iam::{MEMBER}:role/centime", RoleSessionName="test", ExternalId=external_id)
    found = answer["Credentials"]
    return (found["AccessKeyId"], found["SecretAccessKey"]), found["SessionToken"]


def build(endpoint):
    """The platform, and the user who may read it. Returns the user's keys."""
    setup, token = member_keys(endpoint)
    member = lambda service: client(endpoint, service, setup, token)

    iam = member("iam")
    iam.create_role(RoleName="centime", AssumeRolePolicyDocument=json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole",
                       "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}}]}))
    iam.put_role_policy(RoleName="centime", PolicyName="read", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": READ_ONLY, "Resource": "*"}]}))

    rds = member("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="orders", DBInstanceClass="db.m5.large", Engine="postgres", AllocatedStorage=200,
        StorageType="io1", Iops=4000, MultiAZ=True, MasterUsername="u", MasterUserPassword="secret-123",
        Tags=[{"Key": "team", "Value": "Orders"}, {"Key": "env", "Value": "PRD"}])
    rds.create_db_instance(
        DBInstanceIdentifier="untagged", DBInstanceClass="db.t3.small", Engine="mysql", AllocatedStorage=20,
        MasterUsername="u", MasterUserPassword="secret-123")
    rds.create_db_snapshot(DBSnapshotIdentifier="orders-before-upgrade", DBInstanceIdentifier="orders")

    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("main.py", "def handler(event, context):\n    return event\n")
    role = iam.create_role(RoleName="fn", AssumeRolePolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
                                                "Action": "sts:AssumeRole"}]}))["Role"]["Arn"]
    functions = member("lambda")
    for name, arch in [("enrich", "x86_64"), ("score", "arm64")]:
        functions.create_function(
            FunctionName=name, Runtime="python3.12", Role=role, Handler="main.handler", Architectures=[arch],
            Code={"ZipFile": code.getvalue()}, MemorySize=512, Timeout=30, Tags={"team": "risk"})
    logs = member("logs")
    logs.create_log_group(logGroupName="/aws/lambda/enrich")
    logs.create_log_group(logGroupName="/aws/lambda/score")
    logs.put_retention_policy(logGroupName="/aws/lambda/score", retentionInDays=30)

    s3 = member("s3")
    for bucket in ["raw-events", "curated"]:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="curated", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_lifecycle_configuration(Bucket="curated", LifecycleConfiguration={"Rules": [
        {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""},
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 45}}]})
    s3.create_multipart_upload(Bucket="raw-events", Key="half-way")

    emr = member("emr")
    cluster = emr.run_job_flow(
        Name="nightly", ReleaseLabel="emr-6.15.0", Applications=[{"Name": "Spark"}],
        Instances={"KeepJobFlowAliveWhenNoSteps": True, "TerminationProtected": False, "InstanceGroups": [
            {"Name": "primary", "InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
            {"Name": "core", "InstanceRole": "CORE", "InstanceType": "m5.2xlarge", "InstanceCount": 3}]},
        Tags=[{"Key": "team", "Value": "lake"}])["JobFlowId"]

    kafka = member("kafka")
    kafka.create_cluster_v2(ClusterName="events", Tags={"team": "streaming"}, Provisioned={
        "BrokerNodeGroupInfo": {"InstanceType": "kafka.m5.large", "ClientSubnets": ["subnet-1", "subnet-2", "subnet-3"],
                                "StorageInfo": {"EbsStorageInfo": {"VolumeSize": 500}}},
        "KafkaVersion": "3.6.0", "NumberOfBrokerNodes": 3})

    payer = client(endpoint, "iam")
    payer.create_user(UserName="centime")
    payer.put_user_policy(UserName="centime", PolicyName="assume", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::{MEMBER}:role/centime"}]}))
    made = payer.create_access_key(UserName="centime")["AccessKey"]
    return (made["AccessKeyId"], made["SecretAccessKey"]), cluster


def configuration(folder, external_id):
    path = Path(folder) / "centime.yaml"
    path.write_text(f"""
aws:
  regions: [{REGION}]
  accounts:
    - id: "{MEMBER}"
      name: data
      environment: prod
      role_arn: arn:aws:iam::{MEMBER}:role/centime
      external_id: {external_id}
store:
  directory: {folder}/data
web:
  listen: 127.0.0.1:0
""")
    return path


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--centime", required=True)
    arguments.add_argument("--sandbox", required=True)
    options = arguments.parse_args()

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys, cluster = build(endpoint)
    urllib.request.urlopen(urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth", data=b"0", method="POST", headers={"Content-Type": "text/plain"})).read()

    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_CLOUDWATCH": options.sandbox,
        "AWS_ENDPOINT_URL_COST_EXPLORER": options.sandbox,
        "AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1], "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    failures = []

    def check(what, found, expected):
        if found != expected:
            failures.append(f"{what}: expected {expected!r}, found {found!r}")

    def centime(folder, *command):
        return subprocess.run([options.centime, *command, "--config", str(Path(folder) / "centime.yaml")],
                              env=environment, capture_output=True, text=True, timeout=240)

    with tempfile.TemporaryDirectory() as folder:
        configuration(folder, "a-wrong-one")
        run = centime(folder, "collect", "--json")
        check("exit code with a wrong external id", run.returncode != 0, True)
        query = centime(folder, "query", "--json", "select count(*) as n from resources")
        check("resources with a wrong external id", json.loads(query.stdout or "[]"), [{"n": 0}])

    with tempfile.TemporaryDirectory() as folder:
        configuration(folder, EXTERNAL_ID)
        run = centime(folder, "collect", "--json")
        print(run.stdout[-3000:], run.stderr[-6000:], sep="\n")

        def rows(sql):
            query = centime(folder, "query", "--json", sql)
            if query.returncode:
                failures.append(f"{sql}: {query.stderr}")
                return []
            return json.loads(query.stdout)

        check("databases", rows("""select resource_id, instance_class, engine, multi_az, storage_type, iops,
            allocated_gib, environment, team from rds_instances order by 1"""), [
            {"resource_id": "orders", "instance_class": "db.m5.large", "engine": "postgres", "multi_az": True,
             "storage_type": "io1", "iops": 4000, "allocated_gib": 200, "environment": "prod", "team": "orders"},
            {"resource_id": "untagged", "instance_class": "db.t3.small", "engine": "mysql", "multi_az": False,
             "storage_type": "gp2", "iops": None, "allocated_gib": 20, "environment": "prod", "team": None}])
        check("manual snapshots", rows("select resource_id, source_id, allocated_gib from rds_snapshots where snapshot_type = 'manual'"),
              [{"resource_id": "orders-before-upgrade", "source_id": "orders", "allocated_gib": 200}])
        check("functions", rows("""select resource_id, architecture, memory_mib, timeout_seconds, log_retention_days, team
            from lambda_functions order by 1"""), [
            {"resource_id": "enrich", "architecture": "x86_64", "memory_mib": 512, "timeout_seconds": 30,
             "log_retention_days": None, "team": "risk"},
            {"resource_id": "score", "architecture": "arm64", "memory_mib": 512, "timeout_seconds": 30,
             "log_retention_days": 30, "team": "risk"}])
        check("buckets", rows("""select resource_id, versioning, lifecycle_rules, abort_uploads_after_days,
            expire_noncurrent_after_days, incomplete_uploads from s3_buckets order by 1"""), [
            {"resource_id": "curated", "versioning": "Enabled", "lifecycle_rules": 1, "abort_uploads_after_days": 7,
             "expire_noncurrent_after_days": 45, "incomplete_uploads": 0},
            {"resource_id": "raw-events", "versioning": "Never", "lifecycle_rules": 0, "abort_uploads_after_days": None,
             "expire_noncurrent_after_days": None, "incomplete_uploads": 1}])
        # moto has no managed scaling and no auto-termination policies: those columns are unknown, not false.
        check("EMR clusters", rows("""select resource_id, name, release, primary_instance_type, core_instance_type,
            core_nodes, managed_scaling, team from emr_clusters"""), [
            {"resource_id": cluster, "name": "nightly", "release": "emr-6.15.0", "primary_instance_type": "m5.xlarge",
             "core_instance_type": "m5.2xlarge", "core_nodes": 3, "managed_scaling": None, "team": "lake"}])
        # moto's clusters stay in CREATING and have no nodes.
        check("MSK clusters", rows("""select resource_id, cluster_type, brokers, instance_type, volume_gib, team
            from msk_clusters"""), [
            {"resource_id": "events", "cluster_type": "PROVISIONED", "brokers": 3, "instance_type": "kafka.m5.large",
             "volume_gib": 500, "team": "streaming"}])
        check("account", rows("select distinct account, region from resources"), [{"account": MEMBER, "region": REGION}])

    server.stop()
    if failures:
        sys.exit("\n".join(["centime against moto:"] + failures))
    print("centime against moto: all as built")


if __name__ == "__main__":
    main()
