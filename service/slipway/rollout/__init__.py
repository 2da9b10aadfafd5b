"""The rollout: observe, judge, decide, apply. All but observe, apply and loop is pure."""
