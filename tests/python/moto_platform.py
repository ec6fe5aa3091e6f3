"""centime against moto: an AWS that centime's authors did not write.

Builds a small platform in a member account, attaches exactly the policies that `centime iam-policy` prints, switches on
moto's checks of signatures and permissions, runs `centime collect` and compares what centime kept with what was built.
Then permissions are taken away: what needed them, and nothing else, must become unknown and be reported by name.
Cost Explorer is the sandbox's. CloudWatch too, which does not know moto's keys and refuses: its series stay unknown.

usage: moto_platform.py --centime PATH --sandbox URL
"""

import argparse
import io
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

import boto3
from moto.core.config import default_user_config
from moto.kafka.models import kafka_backends
from moto.server import ThreadedMotoServer
from policy_sentry.querying.actions import get_action_data

# Of the user that centime runs as. moto checks trust policies only of roles in the caller's own account, so the account
# whose role asks for an external id is this one.
OWN = "123456789012"
MEMBER = "222222222222"
EXTERNAL_ID = "shared-with-centime"
REGION = "eu-west-1"
USER = f"arn:aws:iam::{OWN}:user/centime"
GUARDED_ROLE = f"arn:aws:iam::{OWN}:role/guarded"
MEMBER_ROLE = f"arn:aws:iam::{MEMBER}:role/centime"

# moto knows no name for these requests and takes each for the listing of a bucket's objects.
MOTO_ACTIONS = {
    "s3:GetReplicationConfiguration": "s3:ListBucket",
    "s3:GetIntelligentTieringConfiguration": "s3:ListBucket",
    "s3:GetMetricsConfiguration": "s3:ListBucket",
}

# What moto cannot do: requests that centime must report as unknown, and why.
MOTO_LACKS = {
    # Not implemented.
    ("elasticmapreduce:GetAutoTerminationPolicy", "server"),
    ("elasticmapreduce:GetManagedScalingPolicy", "server"),
    ("kafka:ListNodes", "server"),
    # It does not know an application that has not run anything yet.
    ("emr-serverless:ListJobRuns", "absent"),
    ("lambda:ListProvisionedConcurrencyConfigs", "client"),
    ("lambda:GetAccountSettings", "client"),
    ("rds:DescribeReservedDBInstances", "server"),
    ("rds:DescribeDBClusterAutomatedBackups", "server"),
    ("rds:DescribeDBMajorEngineVersions", "server"),
    ("kafka:ListKafkaVersions", "client"),
    ("kafka:DescribeConfigurationRevision", "client"),
    # It checks the signature over a body that it writes anew, with `+` for a space as boto3 writes it; `No Upfront` is sent with
    # `%20`, which AWS takes as well: it checks what it received.
    ("rds:DescribeReservedDBInstancesOfferings", "config"),
    # Its answer has another root element than S3's.
    ("s3:GetBucketVersioning", "parse"),
    # It lists objects instead.
    ("s3:ListBucketIntelligentTieringConfigurations", "parse"),
    ("s3:ListBucketMetricsConfigurations", "parse"),
}

# Permissions of questions about single resources that are taken away together, and the columns that then are unknown.
TAKEN_AWAY = {
    "elasticmapreduce:ListSteps": ("emr_clusters", [
        "active_steps", "failed_steps", "failed_step_hours_14d", "step_batches_14d", "step_hours_14d"]),
    "lambda:GetFunctionConcurrency": ("lambda_functions", ["reserved_concurrency"]),
    "lambda:ListTags": ("lambda_functions", ["team"]),
    "logs:DescribeLogGroups": ("lambda_functions", ["log_retention_days"]),
    "s3:GetBucketTagging": ("s3_buckets", ["team"]),
    "s3:GetLifecycleConfiguration": ("s3_buckets", [
        "lifecycle_rules", "abort_uploads_after_days", "expire_noncurrent_after_days", "expires_delete_markers"]),
    "s3:ListBucketMultipartUploads": ("s3_buckets", ["incomplete_uploads"]),
}


def client(endpoint, service, keys=("root", "root"), token=None, region=REGION):
    return boto3.client(
        service, endpoint_url=endpoint, region_name=region, aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1], aws_session_token=token)


def member_keys(endpoint):
    """Before the checks are switched on, moto gives them to anybody."""
    answer = client(endpoint, "sts").assume_role(RoleArn=MEMBER_ROLE, RoleSessionName="test")
    found = answer["Credentials"]
    return (found["AccessKeyId"], found["SecretAccessKey"]), found["SessionToken"]


def build(endpoint):
    """The platform, and the user that centime runs as. Returns the user's keys and the EMR cluster's id."""
    setup, token = member_keys(endpoint)
    member = lambda service: client(endpoint, service, setup, token)
    iam = member("iam")

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
    functions.put_function_concurrency(FunctionName="enrich", ReservedConcurrentExecutions=7)
    logs = member("logs")
    logs.create_log_group(logGroupName="/aws/lambda/enrich")
    logs.create_log_group(logGroupName="/aws/lambda/score")
    logs.put_retention_policy(logGroupName="/aws/lambda/score", retentionInDays=30)

    s3 = member("s3")
    for bucket in ["raw-events", "curated"]:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_tagging(Bucket="curated", Tagging={"TagSet": [{"Key": "team", "Value": "Lake"}]})
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
    # moto's times of MSK lack the zone that RFC 3339 and AWS have.
    for made in kafka_backends[MEMBER][REGION].clusters.values():
        made.creation_time = "2026-01-31T10:20:30.405Z"

    member("emr-serverless").create_application(
        name="adhoc", releaseLabel="emr-7.1.0", type="SPARK", architecture="X86_64", tags={"team": "lake"})

    own = client(endpoint, "iam")
    own.create_user(UserName="centime")
    made = own.create_access_key(UserName="centime")["AccessKey"]
    return (made["AccessKeyId"], made["SecretAccessKey"]), cluster


def switch_checks(endpoint, on):
    """moto checks every request's signature and permission, or none."""
    # Of requests that go unchecked.
    count = b"0" if on else b"inf"
    urllib.request.urlopen(urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth", data=count, method="POST", headers={"Content-Type": "text/plain"})).read()


def attach(endpoint, printed, without=()):
    """Gives every principal what `centime iam-policy` printed for it, less some actions."""
    switch_checks(endpoint, False)
    for entry in printed["policies"]:
        policy = json.loads(json.dumps(entry["policy"]))
        for statement in policy["Statement"]:
            statement["Action"] = [MOTO_ACTIONS.get(action, action) for action in statement["Action"]
                                   if action not in without]
        document = json.dumps(policy)
        if "trust_policy" not in entry:
            client(endpoint, "iam").put_user_policy(UserName="centime", PolicyName="centime", PolicyDocument=document)
            continue
        role = entry["attach_to"]
        keys = ((("root", "root"), None) if role == GUARDED_ROLE else member_keys(endpoint))
        iam = client(endpoint, "iam", *keys)
        name = role.rsplit("/", 1)[1]
        try:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(entry["trust_policy"]))
        except iam.exceptions.EntityAlreadyExistsException:
            pass
        iam.put_role_policy(RoleName=name, PolicyName="centime", PolicyDocument=document)
    switch_checks(endpoint, True)


def check_actions(printed, check):
    """Every action exists and only reads, by AWS's own list (Service Authorization Reference)."""
    actions = {action for entry in printed["policies"] for statement in entry["policy"]["Statement"]
               for action in statement["Action"]} - {"sts:AssumeRole"}
    check("there are actions", len(actions) > 25, True)
    for action in sorted(actions):
        prefix, name = action.split(":")
        known = (get_action_data(prefix, name) or {}).get(prefix, [])
        levels = {row["access_level"] for row in known if row["action"].lower() == action.lower()}
        check(f"access level of {action}", bool(levels) and levels <= {"List", "Read"}, True)


def configuration(folder, external_id):
    Path(folder, "centime.yaml").write_text(f"""
aws:
  regions: [{REGION}]
  # moto answers 500 to what it lacks: asking again is of no use.
  retry: {{ attempts: 1 }}
  accounts:
    - id: "{OWN}"
      name: own
      role_arn: {GUARDED_ROLE}
      external_id: {external_id}
    - id: "{MEMBER}"
      name: data
      environment: prod
      role_arn: {MEMBER_ROLE}
cost:
  views: [account_service]
  history_months: 1
store:
  directory: data
web:
  listen: 127.0.0.1:0
""")


class Installation:
    """A configuration and a store of its own."""

    def __init__(self, program, environment, external_id=EXTERNAL_ID):
        self.folder = tempfile.TemporaryDirectory()
        self.program = program
        self.environment = environment
        configuration(self.folder.name, external_id)

    def run(self, *command):
        return subprocess.run(
            [self.program, *command, "--config", str(Path(self.folder.name, "centime.yaml"))],
            env=self.environment, capture_output=True, text=True, timeout=240)

    def json(self, *command):
        done = self.run(*command)
        try:
            return done.returncode, json.loads(done.stdout)
        except json.JSONDecodeError:
            sys.exit(f"centime {command} printed no JSON, exit code {done.returncode}:\n{done.stdout}\n{done.stderr}")

    def collect(self):
        """Exit code, and the report of the inventory."""
        code, report = self.json("collect", "--json")
        return code, next(source for source in report["sources"] if source["source"] == "inventory")

    def rows(self, sql):
        return self.json("query", "--json", sql)[1]

    def table(self, name):
        """Whole, by account and resource."""
        rows = self.rows(f"select * from {name}")
        return {(row["account"], row["resource_id"]): row for row in rows}


TABLES = ["rds_instances", "rds_snapshots", "lambda_functions", "s3_buckets", "emr_clusters", "emr_instance_groups",
          "emr_serverless_applications", "msk_clusters"]


def check_inventory(centime, cluster, check):
    """What was built is what is kept; what moto cannot tell is unknown, never zero."""
    check("databases", centime.rows("""select resource_id, instance_class, engine, multi_az, storage_type, iops,
        allocated_gib, environment, team from rds_instances order by 1"""), [
        {"resource_id": "orders", "instance_class": "db.m5.large", "engine": "postgres", "multi_az": True,
         "storage_type": "io1", "iops": 4000, "allocated_gib": 200, "environment": "prod", "team": "orders"},
        {"resource_id": "untagged", "instance_class": "db.t3.small", "engine": "mysql", "multi_az": False,
         "storage_type": "gp2", "iops": None, "allocated_gib": 20, "environment": "prod", "team": None}])
    check("manual snapshots", centime.rows("""select resource_id, source_id, allocated_gib from rds_snapshots
        where snapshot_type = 'manual'"""),
        [{"resource_id": "orders-before-upgrade", "source_id": "orders", "allocated_gib": 200}])
    check("functions", centime.rows("""select resource_id, architecture, memory_mib, timeout_seconds,
        log_retention_days, reserved_concurrency, provisioned_concurrency, team from lambda_functions order by 1"""), [
        {"resource_id": "enrich", "architecture": "x86_64", "memory_mib": 512, "timeout_seconds": 30,
         "log_retention_days": None, "reserved_concurrency": 7, "provisioned_concurrency": None, "team": "risk"},
        {"resource_id": "score", "architecture": "arm64", "memory_mib": 512, "timeout_seconds": 30,
         "log_retention_days": 30, "reserved_concurrency": None, "provisioned_concurrency": None, "team": "risk"}])
    check("buckets", centime.rows("""select resource_id, versioning, lifecycle_rules, abort_uploads_after_days,
        expire_noncurrent_after_days, intelligent_tiering_configurations, replication, incomplete_uploads, team
        from s3_buckets order by 1"""), [
        {"resource_id": "curated", "versioning": None, "lifecycle_rules": 1, "abort_uploads_after_days": 7,
         "expire_noncurrent_after_days": 45, "intelligent_tiering_configurations": None, "replication": False,
         "incomplete_uploads": 0, "team": "lake"},
        {"resource_id": "raw-events", "versioning": None, "lifecycle_rules": 0, "abort_uploads_after_days": None,
         "expire_noncurrent_after_days": None, "intelligent_tiering_configurations": None, "replication": False,
         "incomplete_uploads": 1, "team": None}])
    check("EMR clusters", centime.rows("""select resource_id, name, release, primary_instance_type, core_instance_type,
        core_nodes, managed_scaling, auto_termination_policy, active_steps, team from emr_clusters"""), [
        {"resource_id": cluster, "name": "nightly", "release": "emr-6.15.0", "primary_instance_type": "m5.xlarge",
         "core_instance_type": "m5.2xlarge", "core_nodes": 3, "managed_scaling": None, "auto_termination_policy": None,
         "active_steps": 0, "team": "lake"}])
    check("EMR Serverless", centime.rows("""select name, architecture, release, team from emr_serverless_applications"""),
          [{"name": "adhoc", "architecture": "X86_64", "release": "emr-7.1.0", "team": "lake"}])
    # moto's clusters stay in CREATING.
    check("MSK clusters", centime.rows("""select resource_id, state, cluster_type, brokers, instance_type, volume_gib, team
        from msk_clusters"""), [
        {"resource_id": "events", "state": "CREATING", "cluster_type": "PROVISIONED", "brokers": 3,
         "instance_type": "kafka.m5.large", "volume_gib": 500, "team": "streaming"}])
    check("account", centime.rows("select distinct account, region from resources"),
          [{"account": MEMBER, "region": REGION}])


def not_read(inventory):
    """Operations that stay unknown, and why, with those whose whole list does."""
    return {(it["operation"], it["reason"]) for it in inventory["unread"]} | {
        (OPERATION.search(it["error"]).group(), it["reason"]) for it in inventory["failures"]}


OPERATION = re.compile(r"[a-z0-9-]+:[A-Z]\w+")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--centime", required=True)
    arguments.add_argument("--sandbox", required=True)
    options = arguments.parse_args()

    # It tells every request, and what it lacks with a stack trace.
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    # The images of functions are not run.
    default_user_config["lambda"]["use_docker"] = False
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys, cluster = build(endpoint)

    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_CLOUDWATCH": options.sandbox,
        "AWS_ENDPOINT_URL_COST_EXPLORER": options.sandbox,
        "AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1], "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    install = lambda **more: Installation(options.centime, environment, **more)
    failures = []

    def check(what, found, expected):
        if found != expected:
            failures.append(f"{what}:\n  expected {expected!r}\n  found    {found!r}")

    # The least privilege is enough, and the signatures of every service are right.
    whole = install()
    _, printed = whole.json("iam-policy", "--principal", USER)
    check_actions(printed, check)
    attach(endpoint, printed)
    code, inventory = whole.collect()
    check("exit code", code, 3)
    check("not read", not_read(inventory), MOTO_LACKS)
    check_inventory(whole, cluster, check)
    before = {name: whole.table(name) for name in TABLES}

    # A wrong external id: that account is told, with its role and what to look at; the other one is read.
    wrong = install(external_id="a-wrong-one")
    code, inventory = wrong.collect()
    check("exit code with a wrong external id", code, 3)
    refused = [it for it in inventory["failures"] if it["scope"].startswith(f"own {REGION} ")]
    check("services refused with a wrong external id", len(refused), 5)
    for it in refused:
        check("reason", it["reason"], "config")
        check("it names the role", GUARDED_ROLE in it["error"], True)
        check("it names the external id", "external id" in it["error"], True)
    check("the other account", wrong.rows("select distinct account from resources"), [{"account": MEMBER}])

    # A wrong secret: nothing is read, and it is no question of permissions.
    stolen = Installation(options.centime, {**environment, "AWS_SECRET_ACCESS_KEY": "x" * 40})
    code, inventory = stolen.collect()
    check("exit code with a wrong secret", code, 1)
    check("reasons with a wrong secret", {it["reason"] for it in inventory["failures"]}, {"config"})
    told = {it["error"] for it in inventory["failures"]}
    check("faults with a wrong secret", [text for text in told if "SignatureDoesNotMatch" not in text], [])
    check("resources with a wrong secret", stolen.rows("select count(*) as n from resources"), [{"n": 0}])

    # Questions about single resources that may not be asked: those columns and no others are unknown.
    attach(endpoint, printed, without=set(TAKEN_AWAY))
    less = install()
    code, inventory = less.collect()
    check("exit code with permissions taken away", code, 3)
    check("not read with permissions taken away", not_read(inventory),
          MOTO_LACKS | {(OPERATIONS.get(action, action), "denied") for action in TAKEN_AWAY})
    for name in TABLES:
        after = less.table(name)
        check(f"rows of {name}", set(after), set(before[name]))
        gone = {column for table, columns in TAKEN_AWAY.values() if table == name for column in columns}
        differ = set()
        for key, row in after.items():
            differ |= {column for column, value in row.items() if value != before[name][key][column]}
            check(f"unknown of {key}", {column: row[column] for column in gone}, dict.fromkeys(gone))
        check(f"columns of {name} that are unknown beside those of the permissions", differ - gone - FOLLOW, set())

    # A list that may not be read: its kind is unknown and told, the rest of the service is there.
    attach(endpoint, printed, without={"rds:DescribeDBSnapshots"})
    listless = install()
    code, inventory = listless.collect()
    check("not read without a list", not_read(inventory), MOTO_LACKS | {("rds:DescribeDBSnapshots", "denied")})
    check("databases without the list of snapshots", set(listless.table("rds_instances")), set(before["rds_instances"]))
    # What was known in the whole store stays when a list fails there.
    whole.collect()
    check("snapshots that were known", set(whole.table("rds_snapshots")), set(before["rds_snapshots"]))

    server.stop()
    if failures:
        sys.exit("\n".join(["centime against moto:", *failures]))
    print("centime against moto: all as built")


# Columns that follow from those that are unknown: tags make teams and owners, uploads their age.
FOLLOW = {"tags", "owner", "environment", "transitions", "transition_classes", "incomplete_uploads_truncated",
          "oldest_incomplete_upload_at", "last_step_ended_at", "log_stored_bytes"}

# Operations whose permission has another name.
OPERATIONS = {
    "s3:GetLifecycleConfiguration": "s3:GetBucketLifecycleConfiguration",
    "s3:ListBucketMultipartUploads": "s3:ListMultipartUploads",
}


if __name__ == "__main__":
    main()
