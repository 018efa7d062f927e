"""Tables in scikit-learn: an oversampler for imbalanced-learn, and estimators on mixed rows."""

from zetamix.sklearn.classifier import ZetaMixupClassifier
from zetamix.sklearn.regressor import ZetaMixupRegressor
from zetamix.sklearn.sampler import ZetaMixupSampler

__all__ = ["ZetaMixupClassifier", "ZetaMixupRegressor", "ZetaMixupSampler"]
