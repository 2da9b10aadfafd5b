"""The same pipeline for servers that hand a model a DataFrame and nothing else.

MLflow's scoring server, and so MLServer's MLflow runtime, make a DataFrame or arrays of whatever
is asked, and a DictVectorizer takes neither. So their users wrap it, as here.
"""

import mlflow.models
import mlflow.pyfunc


class Columns(mlflow.pyfunc.PythonModel):
    """Predicts each row of a DataFrame."""

    def load_context(self, context):
        """Load what `artifacts` names."""
        from skops.io import get_untrusted_types, load

        path = context.artifacts["pipeline"]
        self.pipeline = load(path, trusted=get_untrusted_types(file=path))

    # Without hints of types: MLflow would take them for its own schema.
    def predict(self, context, model_input, params=None):
        """Columns PU_DO and trip_distance."""
        return self.pipeline.predict(model_input.to_dict(orient="records"))


mlflow.models.set_model(Columns())
