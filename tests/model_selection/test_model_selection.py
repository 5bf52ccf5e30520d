"""Does a search over fits by evidence choose what they say is best, with the surface of scikit-learn's searches?"""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from scipy.special import logsumexp
from scipy.stats import t as student
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_diabetes, load_iris, make_friedman1
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted
from slow import seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.evidence.mixture import stacking_weights
from sk2layer.model_selection import EvidenceSearch
from sk2layer.model_selection.left_out import leave_one_out
from sk2layer.model_selection.mixture import Mixture
from sk2layer.objective import objective
from sk2layer.preprocessing import PiecewiseLinearEncoder

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

GRID = {"hidden_units": [1, 2, 4]}
PIPE_GRID = {"encoder__n_pieces": [1, 3], "network__hidden_units": [1, 3]}
NUMBERS = make_friedman1(120, n_features=5, noise=1.0, random_state=0)
MATRIX = NUMBERS[0], np.column_stack([NUMBERS[1], NUMBERS[0][:, 0] ** 2])
LABELS = load_iris(return_X_y=True)
TWO = LABELS[0], np.where(LABELS[1] == 1, "yes", "no")
INDICATORS = LABELS[0], np.column_stack([LABELS[1] == 0, LABELS[1] == 1]).astype(int)
REGRESSION, CLASSIFICATION = {"one": NUMBERS, "two outputs": MATRIX}, {"3": LABELS, "2": TWO, "labels": INDICATORS}


def network(kind=TwoLayerRegressor, **params):
    return kind(**{"hidden_units": 2, "max_iter": 30, "random_state": 0, **params})


def pipeline(kind=TwoLayerRegressor, **params):
    return Pipeline([("encoder", PiecewiseLinearEncoder()), ("network", network(kind, **params))])


QUICK = {"max_iter": 2}


@parametrize_with_checks(
    [
        EvidenceSearch(network(**QUICK), {"hidden_units": [1, 2]}),
        EvidenceSearch(network(TwoLayerClassifier, **QUICK), {"hidden_units": [1, 2]}, average=True),
    ]
)
def test_conformance(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        EvidenceSearch(network(TwoLayerClassifier, **QUICK), {"hidden_units": [1, 2]}),
        EvidenceSearch(make_pipeline(StandardScaler(), network(**QUICK)), {"standardscaler__with_std": [True, False]}),
    ]
)
def test_conformance_of_others(estimator, check):
    check(estimator)


# ---------------------------------------------------------------------- what is chosen


@pytest.mark.parametrize("criterion", ["loo", "evidence", "auto"])
def test_each_candidate_is_the_fit_of_that_estimator_and_the_best_is_kept(criterion, request):
    watched = request.config.getoption("--with-callbacks")  # by a class that other processes cannot import
    search = EvidenceSearch(pipeline(), PIPE_GRID, criterion=criterion, n_jobs=2 if criterion == "auto" else None)
    with parallel_config("threading" if watched else "loky"):
        search.fit(*NUMBERS)
    results = pd.DataFrame(search.results_)
    for number, params in enumerate(results["params"]):
        alone = pipeline().set_params(**params).fit(*NUMBERS)
        assert results["param_encoder__n_pieces"][number] == params["encoder__n_pieces"]
        for name in ("log_marginal_likelihood", "loo_log_density", "effective_n_parameters"):
            assert results[name][number] == getattr(alone[-1], f"{name}_")
        if number == search.best_index_:
            np.testing.assert_array_equal(search.predict(NUMBERS[0]), alone.predict(NUMBERS[0]))
    name = "log_marginal_likelihood" if criterion == "evidence" else "loo_log_density"
    assert search.criterion_ == ("evidence" if criterion == "evidence" else "loo")
    assert search.best_index_ == results[name].idxmax() == results["rank"].idxmin()
    assert search.best_score_ == results[name].max()
    assert search.best_params_ == results["params"][search.best_index_]
    assert sorted(results["rank"]) == [1, 2, 3, 4]
    assert (results["fit_time"] > 0.0).all()
    assert search.best_estimator_.get_params().items() >= search.best_params_.items()


CRITERIA = {"loo": "loo_log_density", "evidence": "log_marginal_likelihood"}


def test_ranks_follow_the_criterion():
    searches = {criterion: EvidenceSearch(network(), GRID, criterion=criterion).fit(*NUMBERS) for criterion in CRITERIA}
    tables = [search.results_ for search in searches.values()]
    np.testing.assert_array_equal(tables[0]["loo_log_density"], tables[1]["loo_log_density"])
    for (criterion, name), table in zip(CRITERIA.items(), tables, strict=True):
        order = np.argsort(-table[name])
        np.testing.assert_array_equal(table["rank"][order], [1, 2, 3], err_msg=criterion)


class Undetermined(TwoLayerRegressor):
    """A network of which one size has no leave-one-out density, or none has."""

    undetermined = (4,)

    def fit(self, X, y):
        super().fit(X, y)
        if self.hidden_units in self.undetermined:
            self.loo_log_density_ = np.nan
        return self


class AlwaysUndetermined(Undetermined):
    undetermined = (1, 2, 4)


def test_nan_is_the_last_and_the_evidence_decides_where_there_is_nothing_else():
    some = EvidenceSearch(network(Undetermined), GRID).fit(*NUMBERS)
    assert some.criterion_ == "loo"
    assert some.results_["rank"][2] == 3
    none = EvidenceSearch(network(AlwaysUndetermined), GRID).fit(*NUMBERS)
    assert none.criterion_ == "evidence"
    assert none.best_index_ == np.argmax(none.results_["log_marginal_likelihood"])
    with pytest.raises(ValueError, match="criterion must be 'auto' or 'evidence' for these data"):
        none.set_params(criterion="loo").fit(*NUMBERS)


def test_several_grids_leave_what_they_do_not_name_open():
    grids = [{"hidden_units": [1, 2]}, {"hidden_units": [3], "activation": ["tanh", "relu"]}]
    results = EvidenceSearch(network(), grids).fit(*NUMBERS).results_
    assert results["param_hidden_units"].tolist() == [1, 2, 3, 3]
    assert results["param_activation"].tolist() == [None, None, "tanh", "relu"]
    assert results["param_activation"].mask.tolist() == [True, True, False, False]


def test_steps_can_be_searched_over():
    steps = {"encoder": [PiecewiseLinearEncoder(2), "passthrough"], "network": [network(), network(activation="tanh")]}
    search = EvidenceSearch(pipeline(), steps).fit(*NUMBERS)
    assert len(search.results_["params"]) == 4
    for values in steps.values():
        for value in values:
            with pytest.raises(NotFittedError):
                check_is_fitted(value if value != "passthrough" else network())


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize("params", [{"alpha": 1.0}, {"solver": "adam"}, {"early_stopping": True}])
@pytest.mark.parametrize("inside", [False, True])
def test_a_candidate_that_is_not_by_evidence_is_named_before_any_fit(params, inside, monkeypatch):
    monkeypatch.setattr(TwoLayerRegressor, "fit", lambda *args, **kwargs: pytest.fail("a fit has begun"))
    prefix = "network__" if inside else ""
    grid = [{f"{prefix}hidden_units": [1]}, {prefix + name: [value] for name, value in params.items()}]
    with pytest.raises(ValueError, match=r"needs fits by evidence.*The candidate \{.*" + next(iter(params))):
        EvidenceSearch(pipeline() if inside else network(), grid).fit(*NUMBERS)


def test_another_estimator_is_named_before_any_fit():
    with pytest.raises(ValueError, match="ends in LinearRegression"):
        EvidenceSearch(make_pipeline(StandardScaler(), LinearRegression()), {}).fit(*NUMBERS)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"criterion": "aic"}, "criterion.*must be a str among.*'aic'"),
        ({"error_score": 0.0}, "error_score.*must be"),
        ({"param_grid": {"units": [1]}}, "Invalid parameter 'units'"),
        ({"param_grid": {"hidden_units": []}}, "hidden_units"),
    ],
)
def test_parameters_are_checked(params, message):
    with pytest.raises(ValueError, match=message):
        EvidenceSearch(network(), GRID).set_params(**params).fit(*NUMBERS)


@pytest.mark.parametrize("average", [False, True])
def test_a_candidate_that_fails_is_warned_of_and_is_the_last(average):
    grid = {"hidden_units": [2, -1, 3]}
    with pytest.warns(FitFailedWarning, match=r"1 of 3 candidates failed.*\n.*-1.*hidden_units.*must be") as seen:
        search = EvidenceSearch(network(), grid, average=average).fit(*NUMBERS)
    assert [warning.filename for warning in seen if warning.category is FitFailedWarning] == [__file__]
    assert np.isnan(search.results_["loo_log_density"]).tolist() == [False, True, False]
    assert search.results_["rank"][1] == 3
    assert search.predict(NUMBERS[0]).shape == (120,)
    with pytest.raises(ValueError, match=r"hidden_units.*must be.*-1"):
        EvidenceSearch(network(), grid, error_score="raise").fit(*NUMBERS)
    with pytest.raises(ValueError, match=r"hidden_units.*must be.*-1"):
        EvidenceSearch(network(), {"hidden_units": [-1]}).fit(*NUMBERS)


@pytest.mark.parametrize("interrupted", [2, 8])
def test_an_interrupted_search_leaves_the_estimator_as_it_was(interrupted, monkeypatch):
    """Also where the fit of a candidate keeps its weights so far, as it does after Ctrl-C."""
    search = EvidenceSearch(network(), GRID).fit(*NUMBERS)
    before, calls, forward = dict(vars(search)), [], objective.forward

    def interruptible_forward(*args):
        calls.append(args)
        if len(calls) == interrupted:
            raise KeyboardInterrupt
        return forward(*args)

    monkeypatch.setattr(objective, "forward", interruptible_forward)
    with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="interrupted"):
        search.fit(*NUMBERS)
    assert vars(search) == before
    assert len(calls) < 50


# ---------------------------------------------------------------------- the surface


@pytest.mark.parametrize("data", REGRESSION.values(), ids=REGRESSION)
@pytest.mark.parametrize("model", [network(), pipeline()], ids=["network", "pipeline"])
def test_a_regressor_predicts_as_its_best_model_does(model, data):
    X, y = data
    search = EvidenceSearch(model, {}).fit(X, y)
    best = search.best_estimator_
    inner, rows = (best, X) if model.__class__ is TwoLayerRegressor else (best[-1], best[:-1].transform(X))
    np.testing.assert_array_equal(search.predict(X), best.predict(X))
    for include_noise in (False, True):
        mine = search.predict(X, return_std=True, include_noise=include_noise)
        np.testing.assert_array_equal(mine, inner.predict(rows, return_std=True, include_noise=include_noise))
    np.testing.assert_array_equal(search.predict_interval(X, 0.5), inner.predict_interval(rows, 0.5))
    assert search.score(X, y) == pytest.approx(best.score(X, y), rel=1e-12)
    assert is_regressor(search)
    assert search.n_features_in_ == 5
    for name in ("predict_proba", "predict_log_proba", "decision_function", "classes_", "transform"):
        assert not hasattr(search, name)


@pytest.mark.parametrize("data", CLASSIFICATION.values(), ids=CLASSIFICATION)
def test_a_classifier_predicts_as_its_best_model_does(data):
    X, y = data
    search = EvidenceSearch(pipeline(TwoLayerClassifier), {}).fit(X, y)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(search, name)(X), getattr(search.best_estimator_, name)(X))
    np.testing.assert_array_equal(search.classes_, search.best_estimator_.classes_)
    assert search.score(X, y) == search.best_estimator_.score(X, y)
    assert is_classifier(search)
    assert not hasattr(search, "predict_interval")


def test_without_refit_there_is_a_table_and_nothing_to_predict_with():
    search = EvidenceSearch(network(), GRID, average=True).fit(*NUMBERS).set_params(refit=False).fit(*NUMBERS)
    check_is_fitted(search)
    assert search.best_params_ == search.results_["params"][search.best_index_]
    assert search.results_["weight"].sum() == pytest.approx(1.0)
    for name in ("best_estimator_", "estimators_", "weights_", "predict", "n_features_in_", "score"):
        assert not hasattr(search, name)


def test_before_the_fit():
    search = EvidenceSearch(network(), GRID)
    with pytest.raises(NotFittedError):
        search.predict(NUMBERS[0])
    assert hasattr(search, "predict_interval")
    assert not hasattr(search, "n_features_in_")
    assert get_tags(search) == get_tags(network())


def test_data_frames_keep_their_names_and_the_search_can_be_stored():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    search = EvidenceSearch(pipeline(), {"network__hidden_units": [1, 2]}, average=True).fit(X, y)
    assert search.feature_names_in_.tolist() == X.columns.tolist()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(search)).predict(X), search.predict(X))
    assert not vars(clone(search)).keys() - search.get_params(deep=False).keys()


def test_it_is_a_model_like_any_other_in_a_search_with_folds():
    search = EvidenceSearch(network(), {"hidden_units": [1, 2]})
    outer = GridSearchCV(make_pipeline(StandardScaler(), search), {"evidencesearch__criterion": ["loo"]}, cv=2)
    assert outer.fit(*NUMBERS).best_estimator_[-1].best_params_["hidden_units"] in (1, 2)
    assert cross_val_score(search, *NUMBERS, cv=2).shape == (2,)


@pytest.mark.parametrize("average", [False, True])
def test_weights_reach_the_fits(average):
    X, y = NUMBERS
    weight = np.repeat([0.0, 1.0, 2.0], 40)
    repeated = np.repeat(X, weight.astype(int), axis=0), np.repeat(y, weight.astype(int))
    search = EvidenceSearch(pipeline(), PIPE_GRID, average=average)
    weighted = clone(search).fit(X, y, encoder__sample_weight=weight, network__sample_weight=weight)
    plain = clone(search).fit(*repeated)
    np.testing.assert_allclose(weighted.predict(X), plain.predict(X), rtol=1e-4)
    assert weighted.best_params_ == plain.best_params_


def test_metadata_is_routed():
    X, y = NUMBERS
    weight = np.repeat([0.5, 1.0, 1.5], 40)
    expected = EvidenceSearch(pipeline(), PIPE_GRID).fit(X, y, network__sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        model = pipeline()
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
            EvidenceSearch(model, PIPE_GRID).fit(X, y, sample_weight=weight)
        model["network"].set_fit_request(sample_weight=True)
        model["encoder"].set_fit_request(sample_weight=False)
        routed = EvidenceSearch(model, PIPE_GRID).fit(X, y, sample_weight=weight)
        search = (
            EvidenceSearch(model, PIPE_GRID).set_predict_request(return_std=True).set_score_request(sample_weight=True)
        )
        outer = make_pipeline("passthrough", search).fit(X, y, sample_weight=weight)
        _, std = outer.predict(X, return_std=True)
        assert outer.score(X, y, sample_weight=weight) == routed.score(X, y, sample_weight=weight)
    np.testing.assert_array_equal(routed.predict(X), expected.predict(X))
    np.testing.assert_array_equal(std, expected.predict(X, return_std=True)[1])


def test_rows_of_dask_are_fitted_where_they_are():
    array = pytest.importorskip("dask.array", reason="needs dask")
    X, y = NUMBERS
    search = EvidenceSearch(network(), GRID)
    here, there = clone(search).fit(X, y), clone(search).fit(array.from_array(X, 50), array.from_array(y, 50))
    assert there.best_params_ == here.best_params_
    mean, std = there.predict(array.from_array(X, 50), return_std=True)
    np.testing.assert_allclose(mean.compute(), here.predict(X), rtol=1e-3)
    assert std.compute().shape == y.shape
    with pytest.raises(ValueError, match="average=True needs X in memory"):
        search.set_params(average=True).fit(array.from_array(X, 50), array.from_array(y, 50))


# ---------------------------------------------------------------------- averages


@pytest.mark.parametrize("data", [*REGRESSION.values(), *CLASSIFICATION.values()], ids=[*REGRESSION, *CLASSIFICATION])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_density_of_each_row_makes_the_mean_that_a_fit_reports(data, weighted):
    X, y = data
    weight = np.random.default_rng(0).integers(0, 3, len(X)).astype(float) if weighted else None
    model = network(TwoLayerRegressor if X is NUMBERS[0] else TwoLayerClassifier).fit(X, y, weight)
    density, share = leave_one_out(model, X, y, weight)
    assert density.shape == share.shape == (np.count_nonzero(weight) if weighted else len(X),)
    assert np.average(density, weights=share) == pytest.approx(model.loo_log_density_, rel=1e-8)


def test_the_density_of_an_average_of_starts_is_that_of_what_it_predicts():
    """But for what each row has to say of itself."""
    X, y = NUMBERS
    model = network(n_init=3, restarts="average").fit(X, y)
    density, _ = leave_one_out(model, X, y, None)
    mean, std = model.predict(X, return_std=True)
    plain = -0.5 * ((y - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2.0 * np.pi)
    assert np.corrcoef(density, plain)[0, 1] > 0.95
    assert density.mean() < plain.mean()


@seeds(10)
@pytest.mark.parametrize("n_fits", [1, 2, 8])
def test_no_other_weights_give_a_higher_density(seed, n_fits):
    rng = np.random.default_rng(seed)
    L = 10.0 * rng.normal(size=(60, 1)) - 500.0 + rng.normal(scale=rng.uniform(0.1, 3.0), size=(60, n_fits))
    share = rng.integers(1, 4, 60).astype(float)

    def mean_density(weights):
        return np.average(logsumexp(L, axis=1, b=weights), weights=share)

    weights = stacking_weights(L, share)
    assert weights.sum() == pytest.approx(1.0, rel=1e-12)
    assert weights.min() >= 0.0
    gain = np.average(np.exp(L - logsumexp(L, axis=1, b=weights)[:, None]), axis=0, weights=share)
    assert gain.max() < 1.0 + 1e-4  # the gap to the maximum is at most gain.max() - 1, as the function is concave
    for other in rng.dirichlet(np.ones(n_fits), 20):
        assert mean_density(weights) >= mean_density(other) - 1e-4


def test_weights_of_fits_that_do_not_matter_are_none():
    rng = np.random.default_rng(0)
    L = rng.normal(size=(50, 1)) + np.array([0.0, -5.0, 0.0])
    L[3, 2] = np.nan
    np.testing.assert_array_equal(stacking_weights(L, np.ones(50)), [1.0, 0.0, 0.0])
    assert np.isnan(stacking_weights(L[:, 2:], np.ones(50))).all()


@pytest.mark.parametrize("data", REGRESSION.values(), ids=REGRESSION)
def test_the_average_of_regressors_has_mean_and_variance_of_the_mixture(data):
    X, y = data
    search = EvidenceSearch(pipeline(), PIPE_GRID, average=True).fit(X, y)
    weights = search.results_["weight"]
    np.testing.assert_array_equal(weights[weights > 0.0], search.weights_)
    assert len(search.estimators_) == len(search.weights_) > 1
    said = [
        model[-1].predict(model[:-1].transform(X), return_std=True, include_noise=False) for model in search.estimators_
    ]
    parts = zip(search.weights_, said, noises(search), strict=True)
    draws = [(weight, mean, std**2 + noise) for weight, (mean, std), noise in parts]
    mean = sum(w * m for w, m, _ in draws)
    second = sum(w * (v + m**2) for w, m, v in draws)
    mine, std = search.predict(X, return_std=True)
    np.testing.assert_allclose(mine, mean, rtol=1e-12)
    np.testing.assert_array_equal(mine, search.predict(X))
    np.testing.assert_allclose(std, np.sqrt(second - mean**2), rtol=1e-9)
    known_by = [model[-1]._posterior.degrees_of_freedom for model in search.estimators_]
    parts = list(zip(search.weights_, [(m, np.sqrt(v)) for _, m, v in draws], known_by, strict=True))
    for level, end in zip((0.05, 0.95), np.moveaxis(search.predict_interval(X, 0.9), -1, 0), strict=True):
        below = sum(w * student.cdf((end - m) / s, n) for w, (m, s), n in parts)
        np.testing.assert_allclose(below, level, atol=1e-6)
        np.testing.assert_allclose(search.predict_quantile(X, [0.5, level])[..., 1], end, rtol=1e-6)
    assert (search.predict(X, return_std=True, include_noise=False)[1] < std).all()
    with pytest.raises(ValueError, match="confidence_level"):
        search.predict_interval(X, 1.5)


OTHERS = [{"loss": [loss]} for loss in ("student_t", "poisson", "gamma")] + [{"noise": ["inputs"]}]


@seeds(3)
@pytest.mark.parametrize("other", [*OTHERS, {"loss": ["squared_error", "student_t", "poisson", "gamma"]}], ids=str)
def test_an_average_has_quantiles_and_deviations_with_every_noise(other, seed):
    """Counts from 1, which each loss knows."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2.0, 2.0, (1250, 1))
    y = 1.0 + rng.poisson(np.exp(1.0 + np.sin(2.0 * X[:, 0])))
    grid = {"hidden_units": [1, 2, 6], **other}
    search = EvidenceSearch(network(max_iter=100), grid, average=True).fit(X[:250], y[:250])
    models, weights = search.estimators_, search.weights_
    mean, std = search.predict(X, return_std=True)
    said = [model.predict(X, return_std=True) for model in models]
    np.testing.assert_allclose(mean, sum(w * m for w, (m, _) in zip(weights, said, strict=True)), rtol=1e-9)
    second = sum(w * (s**2 + m**2) for w, (m, s) in zip(weights, said, strict=True))
    np.testing.assert_allclose(std, np.sqrt(second - mean**2), rtol=1e-6)
    low, high = search.predict_interval(X[250:]).T
    assert 0.91 < np.mean((low <= y[250:]) & (y[250:] <= high)) < 0.995
    for include_noise in (True, False):
        each = [model.predict_quantile(X, [0.05, 0.5, 0.95], include_noise=include_noise) for model in models]
        found = search.predict_quantile(X, [0.05, 0.5, 0.95], include_noise=include_noise)
        assert (np.min(each, axis=0) * (1.0 - 1e-9) <= found).all()
        assert (found <= np.max(each, axis=0) * (1.0 + 1e-9)).all()
        assert (np.diff(found, axis=-1) >= 0.0).all()


def test_an_average_of_two_outputs_and_of_what_a_file_has():
    X, Y = MATRIX
    search = EvidenceSearch(network(), {"loss": ["student_t", "squared_error"]}, average=True).fit(X, Y)
    search.estimators_ = [network(loss=loss).fit(X, Y) for loss in ("student_t", "squared_error")]
    search.weights_ = np.array([0.3, 0.7])
    assert search.predict_quantile(X, 0.5).shape == Y.shape
    assert search.predict_quantile(X, [0.1, 0.5, 0.9]).shape == (*Y.shape, 3)
    ends = search.predict_interval(X)
    assert ends.shape == (*Y.shape, 2)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(search)).predict_interval(X), ends)
    assert search.fit(np.float32(X), np.float32(Y)).predict_quantile(np.float32(X), 0.5).dtype == np.float32


@seeds(3)
def test_the_density_left_out_is_what_is_reported_where_noise_depends_on_inputs(seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(200, 1))
    y = np.sin(6.0 * X[:, 0]) + (0.05 + 0.9 * X[:, 0]) * rng.normal(size=200)
    model = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, y)
    density, _ = leave_one_out(model, X, y, None)
    assert density.mean() == pytest.approx(model.loo_log_density_, rel=1e-8)


def noises(search):
    matrix = search.predict(NUMBERS[0][:1]).ndim > 1
    return [model[-1].noise_variance_[slice(None) if matrix else 0] for model in search.estimators_]


@pytest.mark.parametrize("data", CLASSIFICATION.values(), ids=CLASSIFICATION)
def test_the_average_of_classifiers_has_the_mean_of_their_probabilities(data):
    X, y = data
    models = [network(TwoLayerClassifier, hidden_units=h, random_state=h).fit(X, y) for h in (1, 3)]
    mixture = Mixture(models, np.array([0.25, 0.75]))
    p = 0.25 * models[0].predict_proba(X) + 0.75 * models[1].predict_proba(X)
    np.testing.assert_allclose(mixture.predict_proba(X), p, rtol=1e-12)
    np.testing.assert_allclose(mixture.predict_log_proba(X), np.log(p), rtol=1e-9)
    score = mixture.decision_function(X)
    if y.ndim > 1:
        np.testing.assert_allclose(score, np.log(p) - np.log1p(-p), rtol=1e-6)
        np.testing.assert_array_equal(mixture.predict(X), p > 0.5)
        return
    np.testing.assert_array_equal(mixture.predict(X), models[0].classes_[p.argmax(axis=1)])
    if len(models[0].classes_) == 2:
        np.testing.assert_allclose(score, np.log(p[:, 1] / p[:, 0]), rtol=1e-9)
    else:
        np.testing.assert_allclose(score - score[:, :1], np.log(p / p[:, :1]), rtol=1e-9, atol=1e-12)


def test_the_average_predicts_rows_left_out_at_least_as_well_as_the_best():
    search = EvidenceSearch(network(), GRID, average=True).fit(*NUMBERS)
    each = [leave_one_out(network(hidden_units=h).fit(*NUMBERS), *NUMBERS, None)[0] for h in GRID["hidden_units"]]
    mixed = logsumexp(np.transpose(each), axis=1, b=search.results_["weight"]).mean()
    assert mixed >= search.best_score_ - 1e-6


def test_the_best_predicts_alone_where_no_row_can_be_left_out():
    X, y = NUMBERS
    search = EvidenceSearch(network(), GRID, average=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sk2layer.evidence.leave_one_out.LEAST_LEFT", 2.0)
        search.fit(X, y)
    assert search.criterion_ == "evidence"
    assert search.weights_.tolist() == [1.0]
    assert search.estimators_ == [search.best_estimator_]


# ---------------------------------------------------------------------- callbacks


class Counter:
    """A callback that counts the tasks of each estimator, and is handed on to candidates."""

    max_propagation_depth = None

    def __init__(self):
        self.begun, self.ended = [], []

    def setup(self, estimator, context):
        pass

    teardown = setup

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((type(estimator).__name__, context.task_name))

    def on_fit_task_end(self, estimator, context):
        self.ended.append((type(estimator).__name__, context.task_name))


@pytest.mark.skipif(not hasattr(EvidenceSearch, "set_callbacks"), reason="scikit-learn has no callbacks")
def test_callbacks_see_each_candidate_and_its_iterations():
    counter = Counter()
    search = EvidenceSearch(network(), GRID).set_callbacks(counter).fit(*NUMBERS)
    n_iter = sum(network(hidden_units=h).fit(*NUMBERS).n_iter_ for h in GRID["hidden_units"])
    assert len(counter.begun) == len(counter.ended)
    assert counter.begun[0] == counter.ended[-1] == ("EvidenceSearch", "fit")
    assert sum(task == ("TwoLayerRegressor", "iteration") for task in counter.ended) in (n_iter, n_iter + 3)
    np.testing.assert_array_equal(
        search.predict(NUMBERS[0]), EvidenceSearch(network(), GRID).fit(*NUMBERS).predict(NUMBERS[0])
    )
