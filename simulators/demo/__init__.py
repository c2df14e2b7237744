"""The demo: every scenario played through the public contracts, and judged by its events on the stream.

``stories`` say what customers do, ``scenarios`` how often, ``expectations`` what must be seen, ``stage`` plays them,
``findings`` judges, ``report`` shows. ``python -m simulators.demo`` needs a running service with the settings of
``simulators.demo_environment``; ``giftcert demo`` starts one.
"""
