"""What the unmodified tecton-client sees: tecton_client.py URL FIRST

FIRST is the time of the first of two purchases of user 1, in seconds since 1970. Run by tecton_client.rs, which knows
the definitions and the events.
"""

import asyncio
import sys
import time
from datetime import datetime, timezone

from tecton_client import AsyncTectonClient, MetadataOptions, RequestOptions, TectonClient
from tecton_client.exceptions import BadRequestError, NotFoundError

URL, FIRST = sys.argv[1], int(sys.argv[2])
PATIENCE_SECONDS = 60

client = TectonClient(url=URL, api_key="any", default_workspace_name="prod")
checks = 0


def equal(found, expected, what):
    global checks
    assert found == expected, f"{what}: found {found!r}, expected {expected!r}"
    checks += 1


def refused(error, parts, **request):
    """The request ends in this exception, and its message holds all parts."""
    global checks
    try:
        answer = client.get_features(**request)
    except error as refusal:
        for part in parts:
            assert part in refusal.message, f"{part!r} is not in {refusal.message!r}"
        checks += 1
        return
    raise AssertionError(f"{request} was answered: {answer}")


def user(user_id, service="user_v1", **options):
    return client.get_features(feature_service_name=service, join_key_map={"user_id": user_id}, **options)


def instant(text):
    assert text.endswith("Z"), text
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def rfc3339(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


NAMES = [
    f"user_purchases.{name}"
    for name in ["n_1h", "n_30d", "cents_30d", "price_30d", "weight_30d", "items_30d", "gift_30d", "at_30d", "shop_30d"]
]
TYPES = ["int64", "int64", "int64", "float64", "float32", "int64", "boolean", "timestamp", "string"]
# Events are readable soon after they are taken.
VALUES = ["0", "2", "9007199254741000", 1.75, 1.25, "5", True, rfc3339(FIRST + 60), "söder"]
deadline = time.monotonic() + PATIENCE_SECONDS
while user(1).result.features != VALUES and time.monotonic() < deadline:
    time.sleep(0.02)

plain = user(1)
equal(plain.result.features, VALUES, "int64 as text, floats as numbers, instants in UTC")
equal((plain.metadata, plain.slo_info), (None, None), "nothing asked, nothing told")

before = time.time()
full = user(1, metadata_options=MetadataOptions.all())
after = time.time()
metadata = full.metadata["features"]
equal([feature["name"] for feature in metadata], NAMES, "names")
equal([feature["dataType"] for feature in metadata], [{"type": name} for name in TYPES], "types")
equal([feature["status"] for feature in metadata], ["MISSING_DATA"] + ["PRESENT"] * 8, "statuses")
times = {feature["effectiveTime"] for feature in metadata}
equal([before - 1 <= instant(text) <= after + 1 for text in times], [True], "one effective time: the request's")
equal({(feature["description"], str(feature["tags"])) for feature in metadata},
      {('what a "user" bought', "{'team': 'growth'}")}, "descriptions and tags")
slo = full.slo_info
equal((slo.slo_eligible, slo.store_response_size_bytes > 0, 0 < slo.server_time_seconds < PATIENCE_SECONDS),
      (True, True, True), "the server's time")

typed = [0, 2, 9007199254741000, 1.75, 1.25, 5, True, rfc3339(FIRST + 60), "söder"]
equal(full.get_features_dict(), dict(zip(NAMES, typed)), "get_features_dict")

# A tile-aligned view and a second entity.
checkout = client.get_features(
    feature_service_name="checkout_v1",
    join_key_map={"user_id": "1", "shop": "söder"},
    metadata_options=MetadataOptions.all(),
)
equal(checkout.get_features_dict(),
      {"shop_load.n_30d": 1, "shop_load.price_30d": 2.0, "user_purchases.n_30d": 2}, "two entities")
aligned = [instant(feature["effectiveTime"]) % 3600 == 0 for feature in checkout.metadata["features"][:2]]
equal(aligned, [True, True], "tiles name their start")

failing = user(1, "failing_v1", metadata_options=MetadataOptions.all())
equal(failing.get_features_dict(), {"user_purchases.n_30d": 2, "derived.share": None}, "a value that cannot be given")
equal([(feature["status"], feature.get("statusReason")) for feature in failing.metadata["features"]],
      [("PRESENT", None), ("ERROR", "the expression failed: division by zero")], "why it cannot")

nobody = user(404, metadata_options=MetadataOptions.all())
equal((nobody.result.features, {feature["status"] for feature in nobody.metadata["features"]}),
      ([None] * 9, {"MISSING_DATA"}), "an entity never seen")
coerced = user(404, request_options=RequestOptions(coerce_null_counts_to_zero=True, latency_budget_ms=1000))
equal(coerced.result.features, ["0", "0"] + [None] * 7, "counts of an entity never seen, coerced")
equal(user(None).result.features, [None] * 9, "a null key")

described = client.get_feature_service_metadata(feature_service_name="checkout_v1")
equal(([key["name"] for key in described.input_join_keys], [value["name"] for value in described.feature_values]),
      (["shop", "user_id"], ["shop_load.n_30d", "shop_load.price_30d", "user_purchases.n_30d"]), "the service")

refused(NotFoundError, ["404 Not Found", "user_v2", "user_v1"],
        feature_service_name="user_v2", join_key_map={"user_id": 1})
refused(NotFoundError, ["404 Not Found", "workspace", "staging"],
        feature_service_name="user_v1", workspace_name="staging", join_key_map={"user_id": 1})
refused(BadRequestError, ["400 Bad Request", "user_id"], feature_service_name="user_v1", join_key_map={})
refused(BadRequestError, ["400 Bad Request", "user_id", "int64"],
        feature_service_name="user_v1", join_key_map={"user_id": "one"})


async def concurrently():
    asynchronous = AsyncTectonClient(url=URL, api_key="any", default_workspace_name="prod")
    request = dict(feature_service_name="user_v1", join_key_map={"user_id": 1})
    return await asyncio.gather(*(asynchronous.get_features(**request) for _ in range(20)))


equal([answer.result.features for answer in asyncio.run(concurrently())], [VALUES] * 20, "the asynchronous client")

print(f"{checks} checks passed")
