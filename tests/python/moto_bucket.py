"""A bucket of moto, an S3 that centime's authors did not write.

Prints its URL. At the end of standard input, prints what was put there: key to content type and SHA-256.

usage: moto_bucket.py BUCKET REGION [FOLDER]: files of the folder are in it under exports/
"""

import hashlib
import json
import logging
import pathlib
import sys

import boto3
from moto.server import ThreadedMotoServer


def main(bucket: str, region: str, folder: str | None = None) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3", endpoint_url=url, region_name=region, aws_access_key_id="a", aws_secret_access_key="b")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    for path in pathlib.Path(folder).rglob("*") if folder else []:
        if path.is_file():
            s3.upload_file(str(path), bucket, f"exports/{path.relative_to(folder)}")
    print(url, flush=True)
    sys.stdin.read()
    found = {}
    for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        answer = s3.get_object(Bucket=bucket, Key=item["Key"])
        found[item["Key"]] = [answer["ContentType"], hashlib.sha256(answer["Body"].read()).hexdigest()]
    print(json.dumps(found))
    server.stop()


main(*sys.argv[1:])
