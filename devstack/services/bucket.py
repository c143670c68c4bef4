"""Create the bucket with the CORS rules for uploads from a browser: python -m devstack.services.bucket."""

import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from devstack.services.s3 import CORS_METHODS

CORS_CONFIGURATION = {
    "CORSRules": [
        {
            "AllowedOrigins": ["*"],
            "AllowedMethods": CORS_METHODS,
            "AllowedHeaders": ["*"],
            "MaxAgeSeconds": 3600,
        }
    ]
}


def create_if_missing(bucket: str, endpoint: str, region: str) -> None:
    """Create the bucket if it does not exist, and set its CORS rules."""
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    client = boto3.client("s3", endpoint_url=endpoint, region_name=region, config=config)
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError:
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration=CORS_CONFIGURATION)


if __name__ == "__main__":
    create_if_missing(os.environ["S3_BUCKET"], os.environ["S3_ENDPOINT_URL"], os.environ["AWS_REGION"])
